//! The run of a resumable call, as the client has to leave it: finished, or cancelled.

use crate::transport::{RunName, Transport};
use reqwest::header::HeaderMap;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, time::timeout};
use tollgate_types::{Error, ErrorKind};

/// How long telling the server to cancel may take. Where it is not heard of the cancellation, its
/// own grace ends the run.
const PATIENCE: Duration = Duration::from_secs(5);

/// A run that goes on at the server when this client goes away. Dropping it unfinished tells the
/// server to cancel it.
#[derive(Debug)]
pub(crate) struct Lease {
    transport: Arc<dyn Transport>,
    headers: HeaderMap,
    /// Absent once the run has ended.
    name: Mutex<Option<RunName>>,
}

impl Lease {
    /// A run that is known by its idempotency key.
    pub(crate) fn new(transport: Arc<dyn Transport>, headers: HeaderMap, key: String) -> Self {
        Self { transport, headers, name: Mutex::new(Some(RunName::Key(key))) }
    }

    /// How the server knows the run; `None` once it has ended.
    pub(crate) fn name(&self) -> Option<RunName> {
        self.name.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The run's id became known.
    pub(crate) fn identify(&self, id: &str) {
        if let Some(name) = self.name.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            *name = RunName::Id(id.to_owned());
        }
    }

    /// The run has ended at the server.
    pub(crate) fn end(&self) {
        drop(self.take());
    }

    /// The call failed: where the server said so itself, the run has ended there.
    pub(crate) fn failed(&self, error: &Error) {
        let unheard = matches!(error.kind(), ErrorKind::Connection | ErrorKind::Timeout)
            && error.body().status.is_none();
        let running = error.kind() == ErrorKind::Conflict && error.is_retryable();
        if !unheard && !running {
            self.end();
        }
    }

    /// Tells the server to cancel the run, and waits until it has heard that.
    pub(crate) async fn cancel(&self) {
        if let Some(name) = self.take() {
            cancel(Arc::clone(&self.transport), name, self.headers.clone()).await;
        }
    }

    fn take(&self) -> Option<RunName> {
        self.name.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(name), Ok(runtime)) = (self.take(), Handle::try_current()) else { return };
        drop(runtime.spawn(cancel(Arc::clone(&self.transport), name, self.headers.clone())));
    }
}

async fn cancel(transport: Arc<dyn Transport>, run: RunName, headers: HeaderMap) {
    let heard = timeout(PATIENCE, transport.cancel(&run, &headers)).await;
    if !matches!(heard, Ok(Ok(()))) {
        tracing::debug!("the server was not heard of the cancellation of a call");
    }
}
