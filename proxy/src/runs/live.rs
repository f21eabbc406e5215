//! A run that this server makes or made: its events, its readers, and how it ended.

use super::log::{Log, Look};
use crate::{
    access::{Caller, Target},
    limits::Rates,
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tollgate_types::{Error, ErrorKind, Result, StreamEvent};

/// The caller's name for a call: the API key and the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallKey {
    pub(super) key_id: String,
    pub(super) idempotency_key: String,
}

/// What is known of a run before it begins.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// Id of the request that begins it.
    pub(super) id: String,
    pub(super) user_id: String,
    /// Ids of the API key that makes the call, and of those that it was delegated from.
    pub(super) keys: Vec<String>,
    pub(super) key: Option<CallKey>,
    /// Hash of what is asked; only compared where there is a key.
    pub(super) fingerprint: [u8; 32],
    pub(super) resumable: bool,
    pub(super) started_ms: i64,
}

/// Who answers a run, and under which terms.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) target: Target,
    pub(super) clamped_to: Option<u32>,
    pub(super) rates: Rates,
}

/// How a run stands.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The provider has not answered yet.
    Opening,
    /// It answers.
    Open(Opening),
    /// The call was not made.
    Refused,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its last event.
    Finished,
    /// The provider, or this server, failed.
    Failed,
    /// A caller cancelled it.
    Cancelled,
    /// Its last reader left, and nobody came back in time.
    Abandoned,
}

#[derive(Debug)]
struct State {
    log: Log,
    stage: Stage,
    end: Option<(End, i64)>,
    last_reader: u64,
}

/// A run that this server makes or made.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) terms: Terms,
    pub(super) cancel: CancellationToken,
    state: Mutex<State>,
    /// Changes whenever there is something new for readers.
    news: watch::Sender<()>,
    readers: watch::Sender<usize>,
    /// A reader has moved on, so that there may be room.
    moved: Notify,
    /// What is kept of all runs together.
    total: Arc<AtomicUsize>,
}

impl Live {
    pub(super) fn new(terms: Terms, total: Arc<AtomicUsize>) -> Arc<Self> {
        let state = State { log: Log::default(), stage: Stage::Opening, end: None, last_reader: 0 };
        Arc::new(Self {
            terms,
            cancel: CancellationToken::new(),
            state: Mutex::new(state),
            news: watch::Sender::default(),
            readers: watch::Sender::default(),
            moved: Notify::new(),
            total,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a caller may know of the run: a key of an operator's of all runs of its user, a
    /// delegated key of its own and of those of the keys below it.
    pub(super) fn is_of(&self, caller: &Caller) -> bool {
        let own = || self.terms.keys.iter().any(|key| key == caller.key_id());
        self.terms.user_id == caller.user_id() && (!caller.is_delegated() || own())
    }

    /// How the run ended, and when, by the server's clock; `None` while it runs.
    pub(super) fn end(&self) -> Option<(End, i64)> {
        self.state().end
    }

    /// The numbers of the first event that is kept and of the next one to come.
    pub(super) fn numbers(&self) -> (u64, u64) {
        let state = self.state();
        (state.log.first(), state.log.next())
    }

    /// The last event, once the run has ended.
    pub(super) fn last(&self) -> Option<Result<StreamEvent>> {
        let state = self.state();
        let last = state.log.next().checked_sub(1).filter(|_| state.end.is_some())?;
        match state.log.look(last) {
            Look::Event(event) => Some(*event),
            _ => None,
        }
    }

    /// All events, one a line, if there are no more than that many bytes.
    pub(super) fn lines(&self, limit: usize) -> Option<String> {
        self.state().log.lines(limit)
    }

    /// The provider answers, or the call was not made.
    pub(super) fn set_stage(&self, stage: Stage) {
        self.state().stage = stage;
        self.news.send_replace(());
    }

    /// Waits for the provider's answer; `None` when the call was not made.
    pub(super) async fn opened(&self) -> Option<Opening> {
        let mut news = self.news.subscribe();
        loop {
            news.borrow_and_update();
            match &self.state().stage {
                Stage::Open(opening) => return Some(opening.clone()),
                Stage::Refused => return None,
                Stage::Opening => {}
            }
            news.changed().await.ok()?;
        }
    }

    /// Who answers, once somebody does.
    pub(super) fn target(&self) -> Option<Target> {
        match &self.state().stage {
            Stage::Open(opening) => Some(opening.target.clone()),
            Stage::Opening | Stage::Refused => None,
        }
    }

    /// Adds an event for every reader.
    pub(super) fn push(&self, event: Result<StreamEvent>) {
        let mut state = self.state();
        let before = state.log.bytes();
        state.log.push(event);
        self.total.fetch_add(state.log.bytes() - before, Ordering::Relaxed);
        drop(state);
        self.news.send_replace(());
    }

    /// Resolves when there is room for another event.
    pub(super) async fn room(&self, limit: impl Fn(usize) -> usize) {
        loop {
            let moved = self.moved.notified();
            if self.make_room(limit(self.total.load(Ordering::Relaxed))) {
                return;
            }
            moved.await;
        }
    }

    fn make_room(&self, limit: usize) -> bool {
        let mut state = self.state();
        let before = state.log.bytes();
        let has_room = state.log.make_room(limit);
        self.total.fetch_sub(before - state.log.bytes(), Ordering::Relaxed);
        has_room
    }

    /// The run has ended.
    pub(super) fn close(&self, end: End, now_ms: i64) {
        self.state().end.get_or_insert((end, now_ms));
    }

    /// Closes the run as abandoned, unless somebody reads it.
    fn close_unread(&self, now_ms: i64) -> bool {
        let mut state = self.state();
        let unread = state.log.readers() == 0;
        if unread {
            state.end.get_or_insert((End::Abandoned, now_ms));
        }
        unread
    }

    /// Resolves when nobody has read the run for that long; it is closed then.
    pub(super) async fn abandoned(&self, grace: Duration, now_ms: impl Fn() -> i64) {
        let mut readers = self.readers.subscribe();
        loop {
            if readers.wait_for(|readers| *readers == 0).await.is_err() {
                return std::future::pending().await;
            }
            let back = tokio::time::timeout(grace, readers.wait_for(|readers| *readers > 0));
            if back.await.is_err() && self.close_unread(now_ms()) {
                return;
            }
        }
    }

    /// A reader that begins at a number.
    pub(super) fn read_from(self: &Arc<Self>, next: u64) -> Reader {
        let mut state = self.state();
        state.last_reader += 1;
        let number = state.last_reader;
        state.log.place(number, next);
        self.readers.send_replace(state.log.readers());
        drop(state);
        // Who joins behind the last event may make room for the next one.
        self.moved.notify_one();
        Reader { live: Arc::clone(self), number, next, news: self.news.subscribe() }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let bytes = self.state().log.bytes();
        self.total.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Somebody who reads a run. Dropping it is leaving.
#[derive(Debug)]
pub(super) struct Reader {
    live: Arc<Live>,
    number: u64,
    next: u64,
    news: watch::Receiver<()>,
}

impl Reader {
    /// The next event with its number; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<(u64, Result<StreamEvent>)> {
        loop {
            self.news.borrow_and_update();
            match self.look() {
                Look::Event(event) => return Some((self.next - 1, *event)),
                Look::Ended => return None,
                Look::Gone => return Some((self.next, Err(gone(self.next)))),
                Look::Later => self.news.changed().await.ok()?,
            }
        }
    }

    /// What stands at the reader's number; an event moves it on.
    fn look(&mut self) -> Look {
        let mut state = self.live.state();
        let look = state.log.look(self.next);
        if matches!(look, Look::Event(_)) {
            self.next += 1;
            state.log.place(self.number, self.next);
            drop(state);
            self.live.moved.notify_one();
        }
        look
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.live.state();
        state.log.leave(self.number);
        self.live.readers.send_replace(state.log.readers());
        drop(state);
        self.live.moved.notify_one();
    }
}

/// A reader that was let go on too late.
fn gone(number: u64) -> Error {
    let message = format!("event {number} is not kept any more");
    Error::new(ErrorKind::Conflict, message)
        .with(|body| body.code = Some("events_not_kept".to_owned()))
}
