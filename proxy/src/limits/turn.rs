//! Waiting for one's turn: first come, first served, and never for ever.

use super::{Book, call::Busy, limited::Limited};
use crate::access::Limit;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::{Instant, timeout_at},
};

/// Calls that may wait for one limit. More are refused as if there were no queue.
pub(super) const LONGEST: usize = 256;

/// Those who wait for one limit, in the order in which they came. Only the first tries.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<(u64, Arc<Notify>)>,
    came: u64,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_first(&self, turn: &Turn) -> bool {
        self.waiting.front().is_some_and(|(_, woken)| Arc::ptr_eq(woken, &turn.woken))
    }

    pub(super) fn wake_first(&self) {
        if let Some((_, woken)) = self.waiting.front() {
            woken.notify_one();
        }
    }

    fn join(&mut self) -> Option<(u64, Arc<Notify>)> {
        if self.waiting.len() >= LONGEST {
            return None;
        }
        self.came += 1;
        let woken = Arc::new(Notify::new());
        self.waiting.push_back((self.came, Arc::clone(&woken)));
        Some((self.came, woken))
    }

    fn leave(&mut self, number: u64) {
        self.waiting.retain(|(waiting, _)| *waiting != number);
        self.wake_first();
    }
}

/// A place in the queue of a limit; dropping it leaves the queue.
#[derive(Debug)]
pub(super) struct Turn {
    book: Arc<Book>,
    limit: Arc<Limit>,
    number: u64,
    woken: Arc<Notify>,
    _patience: OwnedSemaphorePermit,
}

impl Turn {
    /// Joins the queue at which a call was turned away.
    ///
    /// # Errors
    /// The refusal, where the queue is full.
    pub(super) fn join(
        book: &Arc<Book>,
        busy: Busy,
        patience: OwnedSemaphorePermit,
    ) -> Result<Self, Limited> {
        let Some((number, woken)) = book.queue(&busy.limit, Queue::join) else {
            return Err(busy.limited);
        };
        let book = Arc::clone(book);
        Ok(Self { book, limit: busy.limit, number, woken, _patience: patience })
    }

    /// Whether it is a turn of this limit.
    pub(super) fn is_of(&self, limit: &Limit) -> bool {
        self.limit.id == limit.id
    }

    /// Waits until it is worth to try again.
    ///
    /// # Errors
    /// The refusal, when that is not before `deadline`.
    pub(super) async fn wait(&self, busy: Busy, deadline: Instant) -> Result<(), Limited> {
        let now = Instant::now();
        let again = now.checked_add(busy.again.unwrap_or(Duration::ZERO));
        if now >= deadline || again.is_none_or(|again| again > deadline) {
            return Err(busy.limited);
        }
        let until = busy.again.and(again).unwrap_or(deadline);
        // Told or not: then is the time to try.
        drop(timeout_at(until, self.woken.notified()).await);
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.book.queue(&self.limit, |queue| queue.leave(self.number));
    }
}
