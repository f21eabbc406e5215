//! What the mock remembers.

use axum::{
    body::Bytes,
    http::{HeaderMap, Method},
};
use serde_json::Value;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};
use tokio::sync::watch;

use super::MockOptions;

/// A request that reached the mock.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its path, as it was sent.
    pub path: String,
    /// What followed `?`, as it was sent.
    pub query: Option<String>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; `null` when it was not JSON.
    pub body: Value,
    /// Its body, byte for byte.
    pub raw: Bytes,
}

/// An answer that the client did not wait for.
#[derive(Clone, Copy, Debug)]
pub struct Abort {
    /// When the mock noticed.
    pub at: Instant,
    /// Chunks sent by then.
    pub chunks: usize,
}

/// What the mock remembers, and what it was told for all requests.
pub(super) struct Memory {
    pub(super) options: MockOptions,
    seen: Mutex<Vec<Seen>>,
    /// How many requests are in `seen`, or about to be: a full memory is not locked any more.
    kept: AtomicUsize,
    aborts: Mutex<Vec<Abort>>,
    pub(super) served: watch::Sender<usize>,
    pub(super) aborted: watch::Sender<usize>,
    /// Answers under way.
    pub(super) working: watch::Sender<usize>,
}

impl Memory {
    pub(super) fn new(options: MockOptions) -> Self {
        Self {
            options,
            seen: Mutex::default(),
            kept: AtomicUsize::new(0),
            aborts: Mutex::default(),
            served: watch::Sender::new(0),
            aborted: watch::Sender::new(0),
            working: watch::Sender::new(0),
        }
    }

    /// Counts a request, and keeps it while there is room.
    pub(super) fn saw(&self, seen: impl FnOnce() -> Seen) {
        let full = self.kept.load(Ordering::Relaxed) >= self.options.remember;
        if !full && self.kept.fetch_add(1, Ordering::Relaxed) < self.options.remember {
            let seen = seen();
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        }
        self.served.send_modify(|count| *count += 1);
    }

    /// Keeps an abort.
    pub(super) fn lost(&self, abort: Abort) {
        let mut aborts = self.aborts.lock().unwrap_or_else(PoisonError::into_inner);
        if aborts.len() < self.options.remember {
            aborts.push(abort);
        }
        drop(aborts);
        self.aborted.send_modify(|count| *count += 1);
    }

    /// The requests, oldest first.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The aborts, oldest first.
    pub(super) fn aborts(&self) -> Vec<Abort> {
        self.aborts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
