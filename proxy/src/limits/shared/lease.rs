//! The places of one call in Redis: kept while it runs, given back when it ends, and free by
//! themselves when the server dies.

use super::Shared;
use crate::access::Limit;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The places of one call in Redis; dropping it gives them back, taken or not.
#[derive(Debug)]
pub(in crate::limits) struct Lease {
    shared: Arc<Shared>,
    call: String,
    limits: Vec<Arc<Limit>>,
    /// Redis has heard of it.
    asked: AtomicBool,
}

impl Lease {
    /// Registers a call under a name of its own, so that its places are kept once it has them.
    pub(in crate::limits) fn new(shared: &Arc<Shared>, limits: &[Arc<Limit>]) -> Self {
        let call = shared.next_call();
        let limits = limits.iter().filter(|limit| limit.concurrent.is_some()).cloned().collect();
        Self { shared: Arc::clone(shared), call, limits, asked: AtomicBool::new(false) }
    }

    /// The name of the call, for Redis.
    pub(super) fn ask(&self) -> &str {
        self.asked.store(true, Ordering::Relaxed);
        &self.call
    }

    /// From now on the places are kept.
    pub(in crate::limits) fn begin(&self) {
        if !self.limits.is_empty() {
            let keys = self.limits.iter().map(|limit| self.shared.keys.running(limit)).collect();
            self.shared.running().insert(self.call.clone(), keys);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.running().remove(&self.call);
        if self.limits.is_empty() || !self.asked.load(Ordering::Relaxed) {
            return;
        }
        let keys: Vec<_> = self.limits.iter().map(|limit| self.shared.keys.of(limit)).collect();
        let (shared, call) = (Arc::clone(&self.shared), std::mem::take(&mut self.call));
        self.shared.tasks.spawn(async move { shared.forget(&call, keys).await });
    }
}
