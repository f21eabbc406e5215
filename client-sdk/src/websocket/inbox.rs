//! What has come for one call and is not read yet. Its credit bounds it: the server sends no more
//! than this client said it takes.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tollgate_types::{Error, ErrorKind};

/// Bytes of events that a call may have on their way.
pub(super) const WINDOW: u64 = 256 * 1024;

/// Something that came for a call.
#[derive(Debug)]
pub(super) enum Item {
    /// The connection lives.
    Ping,
    /// A frame of the server.
    Frame(Utf8Bytes),
    /// The connection is gone.
    Lost(Error),
}

/// What has come for one call.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
    /// The number of the call on its connection; 0 before it has one.
    number: AtomicU64,
    /// Nobody reads it any more.
    left: AtomicBool,
}

#[derive(Debug)]
struct State {
    frames: VecDeque<Utf8Bytes>,
    /// Once however often: who reads slowly shall not find a heap of them.
    pinged: bool,
    lost: Option<Error>,
    /// What the server may still send.
    credit: u64,
    /// Read since the server was told so.
    read: u64,
}

impl Inbox {
    /// Nothing has come yet.
    pub(super) fn new() -> Self {
        let frames = VecDeque::new();
        let state = State { frames, pinged: false, lost: None, credit: WINDOW, read: 0 };
        let (state, arrived) = (Mutex::new(state), Notify::new());
        Self { state, arrived, number: AtomicU64::new(0), left: AtomicBool::new(false) }
    }

    /// The number of the call, once it has one.
    pub(super) fn number(&self) -> Option<u64> {
        Some(self.number.load(Ordering::Acquire)).filter(|number| *number > 0)
    }

    /// The call is begun under this number.
    pub(super) fn begin(&self, number: u64) {
        self.number.store(number, Ordering::Release);
    }

    /// Nobody reads it any more.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Whether nobody reads it any more.
    pub(super) fn is_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// Takes a frame in. Says whether the server may have sent it: events need credit, of which the
    /// last one may take more than there is.
    pub(super) fn push(&self, frame: Utf8Bytes, is_event: bool) -> bool {
        let mut state = self.state();
        if is_event {
            if state.credit == 0 {
                let message = "the server sends more than it was told that it may";
                state.lost.get_or_insert_with(|| Error::new(ErrorKind::Protocol, message));
                drop(state);
                self.arrived.notify_one();
                return false;
            }
            state.credit = state.credit.saturating_sub(length(&frame));
        }
        state.frames.push_back(frame);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// The connection lives.
    pub(super) fn ping(&self) {
        self.state().pinged = true;
        self.arrived.notify_one();
    }

    /// The connection is gone, or the call was never sent. What came before can still be read.
    pub(super) fn lose(&self, error: Error) {
        self.state().lost.get_or_insert(error);
        self.arrived.notify_one();
    }

    /// The next thing that came. Only the one who reads the call waits.
    pub(super) async fn next(&self) -> Item {
        loop {
            if let Some(item) = self.pop() {
                return item;
            }
            self.arrived.notified().await;
        }
    }

    fn pop(&self) -> Option<Item> {
        let mut state = self.state();
        if let Some(frame) = state.frames.pop_front() {
            return Some(Item::Frame(frame));
        }
        if let Some(lost) = &state.lost {
            return Some(Item::Lost(lost.clone()));
        }
        std::mem::take(&mut state.pinged).then_some(Item::Ping)
    }

    /// An event was read. Says how much more the server may send now, when it is worth a frame.
    pub(super) fn give_back(&self, bytes: u64) -> Option<u64> {
        let mut state = self.state();
        state.read = state.read.saturating_add(bytes);
        if state.read < WINDOW / 2 {
            return None;
        }
        let granted = std::mem::take(&mut state.read);
        state.credit = state.credit.saturating_add(granted);
        Some(granted)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Length in bytes, as both sides count credit.
pub(super) fn length(frame: &Utf8Bytes) -> u64 {
    u64::try_from(frame.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn next(inbox: &Inbox) -> Option<Item> {
        inbox.next().now_or_never()
    }

    #[test]
    fn frames_come_before_the_loss_of_the_connection_and_pings_do_not_pile_up() {
        let inbox = Inbox::new();
        assert!(next(&inbox).is_none());
        inbox.ping();
        inbox.ping();
        assert!(inbox.push("a".into(), true));
        inbox.lose(Error::new(ErrorKind::Connection, "gone"));
        assert!(matches!(next(&inbox), Some(Item::Frame(frame)) if frame.as_str() == "a"));
        assert!(matches!(next(&inbox), Some(Item::Lost(_))));
        let inbox = Inbox::new();
        inbox.ping();
        inbox.ping();
        assert!(matches!(next(&inbox), Some(Item::Ping)));
        assert!(next(&inbox).is_none());
    }

    #[test]
    fn a_server_that_sends_without_credit_is_found_out() {
        let inbox = Inbox::new();
        let large: Utf8Bytes = "x".repeat(300 * 1024).into();
        assert!(inbox.push(large.clone(), true), "the last one may be larger than what is left");
        assert!(inbox.push("a head".into(), false), "only events need credit");
        assert!(!inbox.push("y".into(), true));
        let inbox = Inbox::new();
        assert!(inbox.push(large.clone(), true));
        assert_eq!(inbox.give_back(length(&large)), Some(length(&large)));
        assert!(inbox.push("y".into(), true));
        assert_eq!(inbox.give_back(1), None, "not worth a frame");
    }
}
