//! Why a call was not admitted.

use super::{RateState, Rates, bucket::MINUTE};
use crate::access::Limit;
use std::{fmt, sync::Arc, time::Duration};

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Requests a minute.
    Requests,
    /// Tokens a minute, in and out.
    Tokens,
    /// Calls that run at once.
    Concurrent,
}

impl Measure {
    /// The word for it in SQL, JSON and error codes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests_per_minute",
            Self::Tokens => "tokens_per_minute",
            Self::Concurrent => "concurrent",
        }
    }

    fn of(self, limit: &Limit) -> u64 {
        match self {
            Self::Requests => u64::from(limit.requests_per_minute.unwrap_or_default()),
            Self::Tokens => limit.tokens_per_minute.unwrap_or_default(),
            Self::Concurrent => u64::from(limit.concurrent.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests a minute",
            Self::Tokens => "tokens a minute",
            Self::Concurrent => "calls at once",
        })
    }
}

/// Why a call was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limited {
    /// A limit is used up.
    #[error(
        "the {scope} is limited to {number} {measure} (limit {id})",
        scope = .limit.scope, number = .measure.of(.limit), id = .limit.id
    )]
    Over {
        /// The limit.
        limit: Arc<Limit>,
        /// What of it is used up.
        measure: Measure,
        /// When the call would be admitted; for running calls, when to ask again.
        retry_after: Duration,
    },
    /// The call alone is larger than a minute's worth of tokens: it can never be admitted.
    #[error(
        "the request has about {tokens} tokens, and the {scope} is limited to {number} tokens a minute (limit {id}): make it smaller",
        scope = .limit.scope, number = Measure::Tokens.of(.limit), id = .limit.id
    )]
    TooLarge {
        /// The limit.
        limit: Arc<Limit>,
        /// Likely tokens of the request.
        tokens: u64,
    },
    /// The server runs as many calls as it may.
    #[error("the server is running {running} calls, which is its limit")]
    Full {
        /// The limit.
        running: usize,
    },
    /// Redis does not answer, and the operator wants calls refused then.
    #[error("the limits of this key cannot be checked now, try again")]
    Unchecked,
}

impl Limited {
    /// How the caller stands to the rate that refused, as far as that is known.
    pub fn rates(&self) -> Rates {
        let requests = match self {
            Self::Over { limit, measure: Measure::Requests, retry_after } => {
                let limit = Measure::Requests.of(limit);
                // One comes back then, and the others after it, evenly.
                let others = u32::try_from(limit.saturating_sub(1)).unwrap_or(u32::MAX);
                let each = MINUTE / u32::try_from(limit.max(1)).unwrap_or(u32::MAX);
                let reset = retry_after.saturating_add(each.saturating_mul(others));
                Some(RateState { limit, remaining: 0, reset })
            }
            _ => None,
        };
        Rates { requests, tokens: None }
    }
}
