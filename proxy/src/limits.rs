//! How often and how many at once: requests and tokens a minute, running calls, per key, user, team,
//! organisation and model; and running calls of the whole server.
//!
//! A call is admitted by all of its limits or by none: a refusal consumes nothing of any of them.
//! What one process admits is in its `book`; several servers share theirs in Redis (`shared`).

mod book;
mod bucket;
mod call;
mod limited;
mod rates;
mod shared;
mod slot;
mod turn;

pub use limited::{Limited, Measure};
pub use rates::{RateState, Rates};
pub use slot::{Slot, Tab};

use crate::{
    access::Permit,
    config::{OnFailure, Redis},
    tasks::Tasks,
};
use book::Book;
use call::{Busy, Call};
use shared::{Lease, Shared};
use std::sync::Arc;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use turn::Turn;

/// How a call stands to its rates, and who is told what it has used: Redis only where it was asked.
type Admitted = (Rates, Option<Arc<Shared>>);

/// Admits calls.
#[derive(Debug)]
pub struct Limits {
    places: Arc<Semaphore>,
    max_concurrent: usize,
    /// Calls that may wait for a turn, all limits together.
    patience: Arc<Semaphore>,
    book: Arc<Book>,
    shared: Option<Arc<Shared>>,
}

impl Limits {
    /// Counts in this process alone, at most `max_concurrent` calls at once.
    pub fn local(max_concurrent: usize) -> Self {
        let room = || Arc::new(Semaphore::new(max_concurrent.min(Semaphore::MAX_PERMITS)));
        let book = Arc::new(Book::open());
        Self { places: room(), max_concurrent, patience: room(), book, shared: None }
    }

    /// Counts together with every server that uses the same Redis, if one is named. A Redis that
    /// does not answer is waited for in the background.
    ///
    /// # Errors
    /// When the settings are not right.
    pub async fn open(max_concurrent: usize, redis: &Redis, tasks: &Tasks) -> Result<Self, String> {
        let shared = Shared::open(redis, tasks).await?;
        Ok(Self { shared, ..Self::local(max_concurrent) })
    }

    /// Whether Redis answers; `None` where none is named.
    pub fn shared_is_up(&self) -> Option<bool> {
        self.shared.as_ref().map(|shared| shared.is_up())
    }

    /// Takes a place for a call that has about `tokens` tokens to begin with. Waits where a limit
    /// has a queue; dropping the future leaves it and consumes nothing.
    ///
    /// # Errors
    /// When a limit is used up, or the server is full.
    pub async fn admit(&self, permit: &Permit, tokens: u64) -> Result<Slot, Limited> {
        let call = Call::new(permit, tokens)?;
        if call.limits.is_empty() {
            return Ok(Slot::unlimited(self.place()?));
        }
        let lease = self.shared.as_ref().map(|shared| Lease::new(shared, &call.limits));
        let began = Instant::now();
        let mut turn: Option<Turn> = None;
        loop {
            let place = self.place()?;
            match self.take(&call, turn.as_ref(), lease.as_ref()).await? {
                Ok((rates, shared)) => {
                    let books = (Arc::clone(&self.book), shared);
                    return Ok(Slot::new(place, rates, call, books, lease));
                }
                Err(busy) => {
                    // Who waits runs no model.
                    drop(place);
                    turn = Some(Box::pin(self.wait(busy, turn, began)).await?);
                }
            }
        }
    }

    /// Whether a call would find a place now: for those who would have to read a body first.
    ///
    /// # Errors
    /// When the server is full.
    pub fn check_room(&self) -> Result<(), Limited> {
        match self.places.available_permits() {
            0 => Err(Limited::Full { running: self.max_concurrent }),
            _ => Ok(()),
        }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Limited> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| Limited::Full { running: self.max_concurrent })
    }

    async fn take(
        &self,
        call: &Call,
        turn: Option<&Turn>,
        lease: Option<&Lease>,
    ) -> Result<Result<Admitted, Busy>, Limited> {
        let alone = || self.book.take(call, turn, self.book.now()).map(|rates| (rates, None));
        let (Some(shared), Some(lease)) = (&self.shared, lease) else {
            return Ok(alone());
        };
        if let Err(busy) = self.book.gate(call, turn) {
            return Ok(Err(busy));
        }
        let admitted = match (Box::pin(shared.take(call, lease)).await, shared.on_failure()) {
            (Ok(rates), _) => {
                // So that this process knows what it did when Redis is gone.
                rates.map(|rates| {
                    self.book.note(call, self.book.now());
                    (rates, Some(Arc::clone(shared)))
                })
            }
            (Err(_), OnFailure::Local) => alone(),
            (Err(_), OnFailure::Refuse) => return Err(Limited::Unchecked),
        };
        Ok(admitted.inspect(|_| lease.begin()))
    }

    /// Waits for a turn at the limit that refused, as long as that allows.
    async fn wait(&self, busy: Busy, turn: Option<Turn>, began: Instant) -> Result<Turn, Limited> {
        let deadline = began.checked_add(busy.limit.queue).unwrap_or(began);
        match turn {
            Some(turn) if turn.is_of(&busy.limit) => {
                turn.wait(busy, deadline).await?;
                Ok(turn)
            }
            other => {
                drop(other);
                if busy.limit.queue.is_zero() || Instant::now() >= deadline {
                    return Err(busy.limited);
                }
                let Ok(patience) = Arc::clone(&self.patience).try_acquire_owned() else {
                    return Err(busy.limited);
                };
                // What it waits for may have come in the meantime: it tries at once.
                Turn::join(&self.book, busy, patience)
            }
        }
    }
}

#[cfg(test)]
mod tests;
