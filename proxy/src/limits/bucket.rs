//! One rate: GCRA by governor, with its state where what a call really used can be added to it.
//!
//! A bucket holds a minute's worth and fills evenly. Time is a parameter. Nothing here locks: a
//! bucket is used under the lock of its book.

use super::RateState;
use governor::{
    NotUntil, Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};
use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Time since the book was opened.
pub(super) type Since = Duration;

pub(super) const MINUTE: Duration = Duration::from_secs(60);
/// What is owed is forgotten beyond this: nobody is shut out for longer by one call.
const LONGEST_DEBT: Duration = Duration::from_secs(24 * 3600);

/// When the bucket will be full again (GCRA's theoretical arrival time) and what time it is, both in
/// nanoseconds since the book was opened.
#[derive(Clone, Debug, Default)]
struct Cell(Arc<(AtomicU64, AtomicU64)>);

impl Cell {
    fn full_at(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }

    fn set_full_at(&self, ns: u64) {
        self.0.0.store(ns, Ordering::Relaxed);
    }
}

impl StateStore for Cell {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, full_at) = decide(Some(Nanos::new(self.full_at())))?;
        self.set_full_at(full_at.as_u64());
        Ok(outcome)
    }
}

impl Clock for Cell {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.1.load(Ordering::Relaxed))
    }
}

/// One rate of one limit.
#[derive(Debug)]
pub(super) struct Bucket {
    per_minute: u32,
    /// Absent where nothing is allowed.
    limiter: Option<RateLimiter<NotKeyed, Cell, Cell, NoOpMiddleware<Nanos>>>,
    /// How long one cell takes to come back, ns. Rounded up: never more than the limit.
    interval: u64,
    cell: Cell,
}

impl Bucket {
    pub(super) fn new(per_minute: u32) -> Self {
        let cell = Cell::default();
        let interval = nanos(MINUTE).div_ceil(u64::from(per_minute.max(1)));
        let quota = Quota::with_period(Duration::from_nanos(interval));
        let limiter = quota.zip(NonZeroU32::new(per_minute)).map(|(quota, burst)| {
            RateLimiter::new(quota.allow_burst(burst), cell.clone(), cell.clone())
        });
        Self { per_minute, limiter, interval, cell }
    }

    pub(super) fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// Takes cells, all or none.
    ///
    /// # Errors
    /// How long until they are there.
    pub(super) fn take(&self, cells: u32, now: Since) -> Result<(), Duration> {
        let Some(wanted) = NonZeroU32::new(cells) else { return Ok(()) };
        // More than a minute's worth is refused before it comes here.
        let limiter = self.limiter.as_ref().filter(|_| cells <= self.per_minute).ok_or(MINUTE)?;
        self.cell.0.1.store(nanos(now), Ordering::Relaxed);
        let later = |until: NotUntil<Nanos>| until.wait_time_from(Nanos::new(nanos(now)));
        limiter.check_n(wanted).map_or(Err(MINUTE), |admitted| admitted.map_err(later))
    }

    /// Takes cells whether or not they are there: a debt.
    pub(super) fn charge(&self, cells: u64, now: Since) {
        let now = nanos(now);
        let full_at = self.cell.full_at().max(now);
        let full_at = full_at.saturating_add(cells.saturating_mul(self.interval));
        self.cell.set_full_at(full_at.min(now.saturating_add(nanos(LONGEST_DEBT))));
    }

    /// Gives back cells that were taken and not used.
    pub(super) fn give_back(&self, cells: u64) {
        let back = cells.saturating_mul(self.interval);
        self.cell.set_full_at(self.cell.full_at().saturating_sub(back));
    }

    pub(super) fn is_full(&self, now: Since) -> bool {
        self.cell.full_at() <= nanos(now)
    }

    pub(super) fn state(&self, now: Since) -> RateState {
        let owed = self.cell.full_at().saturating_sub(nanos(now));
        let taken = owed.div_ceil(self.interval);
        let limit = u64::from(self.per_minute);
        let remaining = limit.saturating_sub(taken);
        RateState { limit, remaining, reset: Duration::from_nanos(owed) }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn at(seconds: u64) -> Since {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_burst_of_a_minutes_worth_and_then_an_even_flow() {
        let bucket = Bucket::new(3);
        for remaining in [2, 1, 0] {
            bucket.take(1, at(0)).unwrap();
            assert_eq!(bucket.state(at(0)).remaining, remaining);
        }
        assert_eq!(bucket.take(1, at(0)), Err(at(20)));
        assert_eq!(bucket.take(1, at(19)), Err(at(1)));
        bucket.take(1, at(20)).unwrap();
        assert_eq!(bucket.take(3, at(20)), Err(at(60)));
        bucket.take(3, at(80)).unwrap();
    }

    #[test]
    fn a_debt_is_paid_before_anything_else_is_admitted() {
        let bucket = Bucket::new(60);
        bucket.take(10, at(0)).unwrap();
        bucket.charge(110, at(0));
        assert_eq!(bucket.state(at(0)), RateState { limit: 60, remaining: 0, reset: at(120) });
        assert_eq!(bucket.take(1, at(0)), Err(at(61)));
        bucket.take(1, at(61)).unwrap();
    }

    #[test]
    fn what_is_given_back_is_there_again_and_never_more_than_a_minutes_worth() {
        let bucket = Bucket::new(60);
        bucket.take(60, at(0)).unwrap();
        bucket.give_back(20);
        bucket.take(20, at(0)).unwrap();
        bucket.give_back(60);
        assert_eq!(bucket.state(at(100)).remaining, 60);
        bucket.take(60, at(100)).unwrap();
        assert!(bucket.take(1, at(100)).is_err());
    }

    #[test]
    fn nothing_a_minute_admits_nothing() {
        assert_eq!(Bucket::new(0).take(1, at(0)), Err(MINUTE));
        Bucket::new(0).take(0, at(0)).unwrap();
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        for per_minute in [1, 7, u32::MAX] {
            let bucket = Bucket::new(per_minute);
            bucket.charge(u64::MAX, at(1 << 30));
            assert!(bucket.take(u32::MAX, at(1 << 30)).is_err());
            assert_eq!(bucket.state(at(1 << 30)).reset, LONGEST_DEBT);
            bucket.give_back(u64::MAX);
            assert!(bucket.is_full(at(0)));
        }
    }

    proptest! {
        /// In any stretch of time no more is admitted than flows in during it, and one burst.
        #[test]
        fn never_more_than_the_limit_in_any_minute_and_a_burst(
            per_minute in 1u32..200,
            asks in proptest::collection::vec((0u64..5_000, 1u32..20), 1..300),
        ) {
            let bucket = Bucket::new(per_minute);
            let mut now = Duration::ZERO;
            let mut admitted: Vec<(Duration, u64)> = Vec::new();
            for (pause_ms, cells) in asks {
                now += Duration::from_millis(pause_ms);
                if bucket.take(cells, now).is_ok() {
                    admitted.push((now, u64::from(cells)));
                }
            }
            for (first, (begin, _)) in admitted.iter().enumerate() {
                let mut sum = 0;
                for (moment, cells) in &admitted[first..] {
                    sum += cells;
                    let flowed = (*moment - *begin).as_nanos() * u128::from(per_minute);
                    let allowed = u128::from(per_minute) + flowed / MINUTE.as_nanos();
                    prop_assert!(u128::from(sum) <= allowed, "{} in {:?}", sum, *moment - *begin);
                }
            }
        }

        /// A refusal names the moment from which on the same request is admitted, not later.
        #[test]
        fn the_wait_that_a_refusal_names_is_right(
            per_minute in 1u32..10_000, taken in 1u32..10_000, asked in 1u32..10_000,
        ) {
            let bucket = Bucket::new(per_minute);
            bucket.charge(u64::from(taken), at(0));
            let asked = asked.min(per_minute);
            if let Err(wait) = bucket.take(asked, at(0)) {
                let early = wait.saturating_sub(Duration::from_nanos(1));
                prop_assert!(bucket.take(asked, early).is_err());
                prop_assert!(bucket.take(asked, wait).is_ok());
            }
        }
    }
}
