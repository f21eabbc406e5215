//! How a caller stands to its rates, for the headers of its answer.

use std::time::Duration;
use tollgate_types::{CallLimits, RateLimit};

/// How one rate stands after a call was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// Requests or tokens a minute.
    pub limit: u64,
    /// How many more would be admitted at once.
    pub remaining: u64,
    /// How long until all of them would be.
    pub reset: Duration,
}

impl RateState {
    /// Of two rates the one that refuses sooner.
    fn tighter(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if (other.remaining, other.limit) < (self.remaining, self.limit) => other,
            _ => self,
        }
    }
}

/// The tightest of the rates that count a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of requests, where any limits them.
    pub requests: Option<RateState>,
    /// Of tokens, where any limits them.
    pub tokens: Option<RateState>,
}

impl Rates {
    /// As the caller's receipt tells them, with the output limit that budgets imposed.
    pub fn told(&self, max_output_tokens: Option<u32>) -> CallLimits {
        let told = |rate: RateState| RateLimit {
            limit: rate.limit,
            remaining: rate.remaining,
            reset_ms: u64::try_from(rate.reset.as_millis()).unwrap_or(u64::MAX),
        };
        let (requests, tokens) = (self.requests.map(told), self.tokens.map(told));
        CallLimits { requests, tokens, max_output_tokens }
    }

    pub(super) fn note_requests(&mut self, state: RateState) {
        self.requests = Some(state.tighter(self.requests));
    }

    pub(super) fn note_tokens(&mut self, state: RateState) {
        self.tokens = Some(state.tighter(self.tokens));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_rate_is_told() {
        let state = |limit, remaining| RateState { limit, remaining, reset: Duration::ZERO };
        let mut rates = Rates::default();
        for (limit, remaining) in [(100, 7), (10, 3), (1000, 3), (9, 9)] {
            rates.note_requests(state(limit, remaining));
        }
        assert_eq!(rates, Rates { requests: Some(state(10, 3)), tokens: None });
    }
}
