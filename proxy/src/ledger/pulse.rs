//! A server among others says that it lives, and settles what those left open that do not.

use super::{sweep, writer::BATCH};
use crate::{
    clock::Clock,
    store::{Books, NodeRow, StoreError},
};
use std::time::{Duration, Instant};

/// How often a server says that it lives, within the time after which it is taken for dead.
const BEATS_PER_LEASE: u32 = 6;
/// A database over the network that has not answered by then is lost.
const NO_ANSWER: Duration = Duration::from_secs(3);
/// Servers are forgotten a day after they died.
const FORGET_MS: i64 = 86_400_000;
/// More than this between two clocks puts calls at the edge of a window into the wrong one.
const SKEW_MS: u64 = 2_000;

/// That a server lives, and when it last said so.
#[derive(Debug)]
pub(super) struct Pulse {
    node: NodeRow,
    lease: Duration,
    /// When it last tried to say so.
    tried: Instant,
    /// When it last did.
    said: Instant,
    /// Until then nobody is taken for dead: the others may not have reached the database either.
    patient_until: Instant,
}

impl Pulse {
    /// Tells the other servers that this one has begun.
    ///
    /// # Errors
    /// Any database failure.
    pub(super) async fn begin(
        books: &mut Books,
        node: NodeRow,
        lease: Duration,
    ) -> Result<Self, StoreError> {
        let now = Instant::now();
        let pulse = Self { node, lease, tried: now, said: now, patient_until: now + lease };
        books.beat(&pulse.node, pulse.lease_ms()).await?;
        Ok(pulse)
    }

    fn lease_ms(&self) -> i64 {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// How long until the next beat.
    pub(super) fn rest(&self) -> Duration {
        (self.lease / BEATS_PER_LEASE).saturating_sub(self.tried.elapsed())
    }

    /// How long a database may be silent, so that there is time for another try.
    pub(super) fn patience(&self) -> Duration {
        NO_ANSWER.min(self.lease / 3)
    }

    /// Says that this server lives. Settles what dead ones left open, unless this one was away
    /// from the database itself: whatever kept it away may keep the others away still, and their
    /// calls go on.
    ///
    /// # Errors
    /// Any database failure; then the books must [recover](Books::recover).
    pub(super) async fn beat(
        &mut self,
        books: &mut Books,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        self.tried = Instant::now();
        books.reconnect().await?;
        let database_ms = books.beat(&self.node, self.lease_ms()).await?;
        report_skew(database_ms.saturating_sub(clock.now_ms()));
        let now = Instant::now();
        if self.said.elapsed() > self.lease / 2 {
            self.patient_until = now + self.lease;
        }
        self.said = now;
        if now < self.patient_until {
            return Ok(());
        }
        let holds = sweep::sweep_dead(books, clock).await?;
        if holds > 0 {
            tracing::warn!(holds, "settled holds that a dead server had left open");
        }
        if holds >= BATCH {
            // There is more: the next beat follows the messages that wait now.
            let every = self.lease / BEATS_PER_LEASE;
            self.tried = self.tried.checked_sub(every).unwrap_or(self.tried);
        }
        books.forget_nodes(database_ms.saturating_sub(FORGET_MS)).await
    }
}

fn report_skew(skew_ms: i64) {
    if skew_ms.unsigned_abs() > SKEW_MS {
        tracing::warn!(skew_ms, "the clocks of this server and its database disagree");
    }
}
