//! What this process has admitted, per limit: two rates, running calls, and who waits.
//!
//! One short lock covers an admission, so a call is counted by all of its limits or by none: a
//! refusal consumes nothing. What is idle is forgotten.

use super::{
    Call, Rates,
    bucket::{Bucket, Since},
    call::Busy,
    limited::Measure,
    turn::{Queue, Turn},
};
use crate::access::Limit;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// Limits that are remembered before it is worth looking for idle ones.
const REMEMBERED: usize = 1024;

/// What this process has admitted.
#[derive(Debug)]
pub(super) struct Book {
    opened: Instant,
    tallies: Mutex<Tallies>,
}

#[derive(Debug, Default)]
struct Tallies {
    by_limit: HashMap<String, Tally>,
    /// At this size the idle ones are forgotten.
    sweep_at: usize,
}

/// What one limit has admitted.
#[derive(Debug, Default)]
struct Tally {
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    running: u32,
    queue: Queue,
}

impl Tally {
    /// A changed rate starts afresh.
    fn fit(&mut self, limit: &Limit) {
        let tokens = limit.tokens_per_minute.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        for (bucket, rate) in
            [(&mut self.requests, limit.requests_per_minute), (&mut self.tokens, tokens)]
        {
            if bucket.as_ref().map(Bucket::per_minute) != rate {
                *bucket = rate.map(Bucket::new);
            }
        }
    }

    fn is_idle(&self, now: Since) -> bool {
        let full = |bucket: &Option<Bucket>| bucket.as_ref().is_none_or(|b| b.is_full(now));
        self.running == 0 && self.queue.is_empty() && full(&self.requests) && full(&self.tokens)
    }

    /// Takes what a call needs of both rates, or of none.
    fn take(&self, limit: &Arc<Limit>, cells: u32, now: Since) -> Result<(), Busy> {
        if let Some(bucket) = &self.requests {
            bucket.take(1, now).map_err(|wait| Busy::rate(limit, Measure::Requests, wait))?;
        }
        let Some(bucket) = &self.tokens else { return Ok(()) };
        bucket.take(cells, now).map_err(|wait| {
            self.requests.iter().for_each(|requests| requests.give_back(1));
            Busy::rate(limit, Measure::Tokens, wait)
        })
    }

    fn give_back(&self, cells: u32) {
        self.requests.iter().for_each(|bucket| bucket.give_back(1));
        self.tokens.iter().for_each(|bucket| bucket.give_back(u64::from(cells)));
    }
}

impl Tallies {
    fn of(&mut self, limit: &Limit) -> &mut Tally {
        let tally = self.by_limit.entry(limit.id.clone()).or_default();
        tally.fit(limit);
        tally
    }

    fn gate(&mut self, call: &Call, turn: Option<&Turn>) -> Result<(), Busy> {
        for limit in call.limits.iter() {
            let queue = &self.of(limit).queue;
            if !(queue.is_empty() || turn.is_some_and(|turn| queue.is_first(turn))) {
                return Err(Busy::turn(limit));
            }
        }
        Ok(())
    }

    fn check_places(&mut self, call: &Call) -> Result<(), Busy> {
        for limit in call.limits.iter() {
            let running = self.of(limit).running;
            if limit.concurrent.is_some_and(|most| running >= most) {
                return Err(Busy::turn(limit));
            }
        }
        Ok(())
    }

    fn take_rates(&mut self, call: &Call, now: Since) -> Result<(), Busy> {
        for (taken, limit) in call.limits.iter().enumerate() {
            if let Err(busy) = self.of(limit).take(limit, call.cells(), now) {
                for limit in call.limits.iter().take(taken) {
                    self.of(limit).give_back(call.cells());
                }
                return Err(busy);
            }
        }
        Ok(())
    }

    fn forget_idle(&mut self, now: Since) {
        if self.by_limit.len() >= self.sweep_at.max(REMEMBERED) {
            self.by_limit.retain(|_, tally| !tally.is_idle(now));
            self.sweep_at = self.by_limit.len().saturating_mul(2);
        }
    }
}

impl Book {
    pub(super) fn open() -> Self {
        Self { opened: Instant::now(), tallies: Mutex::default() }
    }

    /// Time since the book was opened.
    pub(super) fn now(&self) -> Since {
        self.opened.elapsed()
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nobody pass those who wait.
    ///
    /// # Errors
    /// The limit at which others are before the call.
    pub(super) fn gate(&self, call: &Call, turn: Option<&Turn>) -> Result<(), Busy> {
        self.tallies().gate(call, turn)
    }

    /// Admits a call to all of its limits, or to none.
    ///
    /// # Errors
    /// A limit that refuses it.
    pub(super) fn take(&self, call: &Call, turn: Option<&Turn>, now: Since) -> Result<Rates, Busy> {
        let mut tallies = self.tallies();
        tallies.forget_idle(now);
        tallies.gate(call, turn)?;
        tallies.check_places(call)?;
        tallies.take_rates(call, now)?;
        let mut rates = Rates::default();
        for limit in call.limits.iter() {
            let tally = tallies.of(limit);
            tally.running += u32::from(limit.concurrent.is_some());
            tally.requests.iter().for_each(|bucket| rates.note_requests(bucket.state(now)));
            tally.tokens.iter().for_each(|bucket| rates.note_tokens(bucket.state(now)));
        }
        Ok(rates)
    }

    /// Counts a call that was admitted elsewhere.
    pub(super) fn note(&self, call: &Call, now: Since) {
        let mut tallies = self.tallies();
        tallies.forget_idle(now);
        for limit in call.limits.iter() {
            let tally = tallies.of(limit);
            tally.running += u32::from(limit.concurrent.is_some());
            tally.requests.iter().for_each(|bucket| bucket.charge(1, now));
            tally.tokens.iter().for_each(|bucket| bucket.charge(call.tokens, now));
        }
    }

    /// The call has used `used` tokens instead of those that were taken.
    pub(super) fn correct(&self, call: &Call, used: u64, now: Since) {
        let tallies = self.tallies();
        for limit in call.limits.iter() {
            let Some(tally) = tallies.by_limit.get(&limit.id) else { continue };
            let Some(bucket) = &tally.tokens else { continue };
            match used.checked_sub(call.tokens) {
                Some(more) => bucket.charge(more, now),
                None => bucket.give_back(call.tokens.saturating_sub(used)),
            }
        }
    }

    /// The call's places are free; whoever waits first may try.
    pub(super) fn release(&self, call: &Call) {
        let mut tallies = self.tallies();
        for limit in call.limits.iter().filter(|limit| limit.concurrent.is_some()) {
            if let Some(tally) = tallies.by_limit.get_mut(&limit.id) {
                tally.running = tally.running.saturating_sub(1);
                tally.queue.wake_first();
            }
        }
    }

    /// What `change` makes of the queue of a limit.
    pub(super) fn queue<T>(&self, limit: &Limit, change: impl FnOnce(&mut Queue) -> T) -> T {
        change(&mut self.tallies().of(limit).queue)
    }

    #[cfg(test)]
    pub(super) fn running(&self, limit: &Limit) -> u32 {
        self.tallies().of(limit).running
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.tallies().by_limit.len()
    }
}
