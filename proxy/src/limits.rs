//! How often and how many at once: requests a minute per key, running calls per server.

use crate::access::Permit;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a call was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limited {
    /// The key has used up its rate.
    #[error("this key is limited to {per_minute} requests a minute")]
    Rate {
        /// The limit.
        per_minute: u32,
        /// When the next request would be admitted.
        retry_after: Duration,
    },
    /// The server runs as many calls as it may.
    #[error("the server is running {running} calls, which is its limit")]
    Full {
        /// The limit.
        running: usize,
    },
}

/// How a key stands to its rate after a request was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// Requests a minute.
    pub limit: u32,
    /// How many more would be admitted at once.
    pub remaining: u32,
}

/// A running call's place; dropping it gives the place back.
#[derive(Debug)]
pub struct Slot {
    _place: OwnedSemaphorePermit,
    rate: Option<RateState>,
}

impl Slot {
    /// How the key stands to its rate, if it has one.
    pub fn rate(&self) -> Option<RateState> {
        self.rate
    }
}

/// One GCRA limiter per rate, keyed by the key's id: the standard leaky bucket with a burst of
/// one minute's worth.
type PerRate = HashMap<u32, Arc<PerKey>>;
type PerKey =
    RateLimiter<String, DefaultKeyedStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// Admits calls.
#[derive(Debug)]
pub struct Limits {
    places: Arc<Semaphore>,
    max_concurrent: usize,
    per_rate: Mutex<PerRate>,
}

impl Limits {
    /// At most `max_concurrent` calls at once.
    pub fn new(max_concurrent: usize) -> Self {
        let places = Arc::new(Semaphore::new(max_concurrent.min(Semaphore::MAX_PERMITS)));
        Self { places, max_concurrent, per_rate: Mutex::default() }
    }

    /// Takes a place for a call.
    ///
    /// # Errors
    /// When the key is over its rate or the server is full.
    pub fn admit(&self, permit: &Permit) -> Result<Slot, Limited> {
        let caller = permit.caller();
        let rate = caller.rate_per_minute().map(|rate| self.check_rate(rate, caller.key_id()));
        let rate = rate.transpose()?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Limited::Full { running: self.max_concurrent })?;
        Ok(Slot { _place: place, rate })
    }

    fn check_rate(&self, per_minute: u32, key_id: &str) -> Result<RateState, Limited> {
        let Some(rate) = NonZeroU32::new(per_minute) else {
            return Err(Limited::Rate { per_minute, retry_after: Duration::from_secs(60) });
        };
        let limiter = {
            let mut per_rate = self.per_rate.lock().unwrap_or_else(PoisonError::into_inner);
            let made = per_rate
                .entry(per_minute)
                .or_insert_with(|| Arc::new(limiter(Quota::per_minute(rate))));
            Arc::clone(made)
        };
        // Keys that were idle long enough to be full again need no memory.
        if limiter.len() > 100_000 {
            limiter.retain_recent();
        }
        let checked = limiter.check_key(&key_id.to_owned());
        let state = checked.map_err(|refused| Limited::Rate {
            per_minute,
            retry_after: refused.wait_time_from(DefaultClock::default().now()),
        })?;
        Ok(RateState { limit: per_minute, remaining: state.remaining_burst_capacity() })
    }
}

fn limiter(quota: Quota) -> PerKey {
    RateLimiter::keyed(quota).with_middleware::<StateInformationMiddleware>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Caller, Permissions, Role, Target, authorize};

    fn permit() -> Permit {
        let caller = Arc::new(Caller::for_tests(Role::Member, [Permissions::default()]));
        let target = Target { provider: "p".into(), model: "m".into() };
        authorize(&caller, vec![target], &[]).unwrap()
    }

    #[test]
    fn a_full_server_refuses_and_a_dropped_slot_frees_its_place() {
        let limits = Limits::new(1);
        let slot = limits.admit(&permit()).unwrap();
        assert_eq!(limits.admit(&permit()).unwrap_err(), Limited::Full { running: 1 });
        drop(slot);
        limits.admit(&permit()).unwrap();
    }

    #[test]
    fn a_rate_allows_its_burst_and_then_says_when_to_come_back() {
        let limits = Limits::new(9);
        for remaining in [2, 1, 0] {
            let state = limits.check_rate(3, "key").unwrap();
            assert_eq!(state, RateState { limit: 3, remaining });
        }
        let Err(Limited::Rate { retry_after, .. }) = limits.check_rate(3, "key") else {
            panic!("the fourth request of three a minute was admitted");
        };
        assert!(retry_after > Duration::ZERO && retry_after <= Duration::from_secs(20));
        limits.check_rate(3, "another key").unwrap();
    }
}
