//! The calls that one connection has open, and how each of them is told to end.

use super::credit::Credit;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tokio_util::sync::CancellationToken;
use tollgate_types::{Error, ErrorKind};

/// One call that is being answered.
#[derive(Debug)]
pub(super) struct OpenCall {
    /// The client's number of it.
    pub(super) number: u64,
    /// Room for its events.
    pub(super) credit: Credit,
    end: CancellationToken,
    reason: OnceLock<Error>,
}

impl OpenCall {
    /// Ends the call with an error, unless it is told to end already.
    pub(super) fn end_with(&self, error: Error) {
        // The first reason is the one that is told.
        drop(self.reason.set(error));
        self.end.cancel();
    }

    /// Nobody reads the call any more, as if its connection were gone.
    pub(super) fn leave(&self) {
        self.end.cancel();
    }

    /// Whether the call is told to end; not when its connection is merely gone.
    pub(super) fn is_told_to_end(&self) -> bool {
        self.reason.get().is_some()
    }

    /// Resolves when the call is told to end, or its connection is gone.
    pub(super) async fn told_to_end(&self) -> Error {
        self.end.cancelled().await;
        let gone = || Error::new(ErrorKind::Cancelled, "nobody reads the call any more");
        self.reason.get().cloned().unwrap_or_else(gone)
    }
}

/// What became of the wish to begin a call.
#[derive(Debug)]
pub(super) enum Opening {
    /// It may be answered.
    Open(Arc<OpenCall>),
    /// Its number belongs to a call that is open: that one ends too, because nobody could tell
    /// which of the two an event belongs to.
    Taken(Arc<OpenCall>),
    /// Its number was used before.
    Used,
    /// The connection has as many calls as it can have.
    Full,
}

/// The calls of one connection.
#[derive(Debug)]
pub(super) struct Calls {
    most: usize,
    /// When this is cancelled, every call is.
    pub(super) gone: CancellationToken,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// The highest number so far.
    highest: Option<u64>,
    calls: HashMap<u64, Arc<OpenCall>>,
}

impl Calls {
    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { most, gone: CancellationToken::new(), open: Mutex::default() }
    }

    /// Begins a call.
    pub(super) fn begin(&self, number: u64, credit: Credit) -> Opening {
        let mut open = self.open();
        if let Some(call) = open.calls.get(&number) {
            return Opening::Taken(Arc::clone(call));
        }
        if open.highest.is_some_and(|highest| number <= highest) {
            return Opening::Used;
        }
        open.highest = Some(number);
        if open.calls.len() >= self.most {
            return Opening::Full;
        }
        let (end, reason) = (self.gone.child_token(), OnceLock::new());
        let call = Arc::new(OpenCall { number, credit, end, reason });
        open.calls.insert(number, Arc::clone(&call));
        Opening::Open(call)
    }

    /// The call of a number, if it is open.
    pub(super) fn find(&self, number: u64) -> Option<Arc<OpenCall>> {
        self.open().calls.get(&number).map(Arc::clone)
    }

    /// The call has ended.
    pub(super) fn close(&self, number: u64) {
        self.open().calls.remove(&number);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
