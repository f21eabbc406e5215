//! A call as its limits see it.

use super::{Limited, Measure};
use crate::access::{Limit, Permit};
use std::{sync::Arc, time::Duration};

/// When to ask again where nobody knows when a call will end.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A call that asks to be admitted.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The limits that count it, narrowest first: whoever waits for a wide one holds no narrow one.
    pub(super) limits: Arc<[Arc<Limit>]>,
    /// Tokens that are taken at once.
    pub(super) tokens: u64,
}

impl Call {
    /// # Errors
    /// When it can never be admitted.
    pub(super) fn new(permit: &Permit, tokens: u64) -> Result<Self, Limited> {
        let limits: Arc<[Arc<Limit>]> = permit.limits().cloned().collect();
        let small = |limit: &&Arc<Limit>| limit.tokens_per_minute.is_some_and(|n| n < tokens);
        match limits.iter().find(small) {
            Some(limit) => Err(Limited::TooLarge { limit: Arc::clone(limit), tokens }),
            None => Ok(Self { limits, tokens }),
        }
    }

    /// Tokens, as buckets count them.
    pub(super) fn cells(&self) -> u32 {
        u32::try_from(self.tokens).unwrap_or(u32::MAX)
    }
}

/// A call that is not admitted now.
#[derive(Debug)]
pub(super) struct Busy {
    /// The limit for whose turn it may wait.
    pub(super) limit: Arc<Limit>,
    /// What it is told if it does not, or waits in vain.
    pub(super) limited: Limited,
    /// When it should try again; absent: when it is told.
    pub(super) again: Option<Duration>,
}

impl Busy {
    pub(super) fn rate(limit: &Arc<Limit>, measure: Measure, retry_after: Duration) -> Self {
        let limited = Limited::Over { limit: Arc::clone(limit), measure, retry_after };
        Self { limit: Arc::clone(limit), limited, again: Some(retry_after) }
    }

    /// No place is free, or others wait.
    pub(super) fn turn(limit: &Arc<Limit>) -> Self {
        let measure = match (limit.concurrent, limit.requests_per_minute) {
            (Some(_), _) => Measure::Concurrent,
            (None, Some(_)) => Measure::Requests,
            (None, None) => Measure::Tokens,
        };
        let limited = Limited::Over { limit: Arc::clone(limit), measure, retry_after: ASK_AGAIN };
        Self { limit: Arc::clone(limit), limited, again: None }
    }
}
