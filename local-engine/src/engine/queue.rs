//! The bounded queue before a model, first come first served.

use super::{Room, job::Job};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too many wait already.
    Full,
    /// The thread has ended.
    Closed,
}

/// What the thread gets when it asks for work.
pub(super) enum Next {
    Job(Box<Job>),
    /// Nothing that fits now.
    Nothing,
    Closed,
}

/// Whether the thread has something else to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Do not wait.
    Now,
    /// Sleep until something comes.
    Idle,
}

pub(super) struct Queue {
    room: Room,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    running: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(room: Room) -> Self {
        Self { room, state: Mutex::default(), changed: Condvar::new() }
    }

    /// A panic elsewhere cannot leave the state half changed, so a poisoned lock is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, job: Job) -> Result<(), Refused> {
        let mut state = self.state();
        if let Some(refused) = state.refuses(self.room) {
            return Err(refused);
        }
        state.waiting.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    pub(super) fn refuses(&self) -> Option<Refused> {
        self.state().refuses(self.room)
    }

    /// The first request, if it fits; it counts as running until [`Self::release`].
    pub(super) fn next(&self, when: When, fits: impl Fn(&Job) -> bool) -> Next {
        let mut state = self.state();
        while when == When::Idle && state.waiting.is_empty() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Next::Closed;
        }
        if !state.waiting.front().is_some_and(fits) {
            return Next::Nothing;
        }
        state.running += 1;
        state.waiting.pop_front().map_or(Next::Nothing, |job| Next::Job(Box::new(job)))
    }

    /// Takes out the requests whose callers stopped waiting.
    pub(super) fn given_up(&self) -> Vec<Job> {
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.waiting);
        let (gone, kept): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|job| job.is_cancelled() || job.is_late());
        state.waiting = kept.into();
        gone
    }

    pub(super) fn release(&self) {
        let mut state = self.state();
        state.running = state.running.saturating_sub(1);
    }

    pub(super) fn release_all(&self) {
        self.state().running = 0;
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Drops what waits: the readers see their channels end.
    pub(super) fn clear(&self) {
        let waiting = std::mem::take(&mut self.state().waiting);
        drop(waiting);
        self.release_all();
    }

    /// How many run and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.running, state.waiting.len())
    }
}

impl State {
    /// A free place counts as room, so that a queue of length 0 still lets requests run.
    fn refuses(&self, room: Room) -> Option<Refused> {
        let free = room.places.saturating_sub(self.running);
        if self.closed {
            Some(Refused::Closed)
        } else if self.waiting.len() >= free + room.queue {
            Some(Refused::Full)
        } else {
            None
        }
    }
}
