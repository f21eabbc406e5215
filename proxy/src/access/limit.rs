//! How fast, and how many calls at once: a limit of somebody, or of a model.

use super::{Pattern, Target};
use crate::store::{Account, LimitRow};
use std::{fmt, sync::Arc, time::Duration};

/// Whose calls are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One key, and the keys delegated from it; by id.
    Key(String),
    /// All keys of a user, by id.
    User(String),
    /// All users of a team, by id.
    Team(String),
    /// Everybody in an organisation, by id.
    Organisation(String),
    /// Everybody's calls that may be sent to a model of this name.
    Model(Pattern),
}

impl Scope {
    /// The one word for the kind of owner in SQL, JSON and on the command line.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::User(_) => "user",
            Self::Team(_) => "team",
            Self::Organisation(_) => "organisation",
            Self::Model(_) => "model",
        }
    }

    /// The owner's id, or the pattern.
    pub fn owner(&self) -> &str {
        match self {
            Self::Key(id) | Self::User(id) | Self::Team(id) | Self::Organisation(id) => id,
            Self::Model(pattern) => &pattern.0,
        }
    }

    /// Narrow scopes come before wide ones.
    fn width(&self) -> u8 {
        match self {
            Self::Key(_) => 0,
            Self::User(_) => 1,
            Self::Team(_) => 2,
            Self::Organisation(_) => 3,
            Self::Model(_) => 4,
        }
    }

    /// The scope of an owner; `None` where the kind is not one.
    pub fn of(kind: &str, owner: &str) -> Option<Self> {
        let owner = owner.to_owned();
        Some(match kind {
            "key" => Self::Key(owner),
            "user" => Self::User(owner),
            "team" => Self::Team(owner),
            "organisation" => Self::Organisation(owner),
            "model" => Self::Model(Pattern(owner)),
            _ => return None,
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.owner())
    }
}

/// The highest rate that can be asked for, requests a minute: one in a microsecond.
pub const MOST_REQUESTS: u32 = 60_000_000;
/// The highest rate that can be asked for, tokens a minute.
pub const MOST_TOKENS: u64 = 1_000_000_000;
/// The longest wait in a queue that can be asked for: clients give up soon after.
pub const LONGEST_QUEUE: Duration = Duration::from_secs(300);

/// A limit on how fast and how many at once; what is absent is not limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its id. What is counted is counted under this name.
    pub id: String,
    /// Whose calls it counts together.
    pub scope: Scope,
    /// Requests a minute; a burst of one minute's worth is admitted at once.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, in and out.
    pub tokens_per_minute: Option<u64>,
    /// Calls that run at once.
    pub concurrent: Option<u32>,
    /// How long a call may wait for its turn instead of being refused; zero: not at all.
    pub queue: Duration,
}

impl Limit {
    /// The rate that a key was created with.
    pub fn of_key_rate(key_id: &str, requests_per_minute: u32) -> Self {
        Self {
            id: format!("key:{key_id}"),
            scope: Scope::Key(key_id.to_owned()),
            requests_per_minute: Some(requests_per_minute),
            tokens_per_minute: None,
            concurrent: None,
            queue: Duration::ZERO,
        }
    }

    /// Reads a row. A number that makes no sense becomes the nearest one that does; `None` where the
    /// kind of owner is not known.
    pub fn of_row(row: &LimitRow) -> Option<Self> {
        let small = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
        let queue = Duration::from_millis(u64::try_from(row.queue_ms).unwrap_or_default());
        Some(Self {
            id: row.id.clone(),
            scope: Scope::of(&row.owner_kind, &row.owner_id)?,
            requests_per_minute: row.requests_per_minute.map(|n| small(n).min(MOST_REQUESTS)),
            tokens_per_minute: row
                .tokens_per_minute
                .map(|n| u64::try_from(n).unwrap_or_default().min(MOST_TOKENS)),
            concurrent: row.concurrent.map(small),
            queue: queue.min(LONGEST_QUEUE),
        })
    }

    /// Whether it counts a call that may be sent to these targets: its owner is the caller's, so only
    /// a model's limit can pass a call by.
    pub fn counts(&self, targets: &[Target]) -> bool {
        match &self.scope {
            Scope::Model(pattern) => {
                targets.iter().any(|target| pattern.matches(&target.to_string()))
            }
            _ => true,
        }
    }
}

/// Every limit that may count an account's calls, narrowest first: those of its key and of the keys
/// that it was delegated from, of its user, team and organisation, and those of models.
pub(super) fn of_account(account: &Account) -> Vec<Arc<Limit>> {
    let keys = account.ancestors.iter().chain([&account.key]);
    let rates = keys.filter_map(|key| {
        let rate = u32::try_from(key.rate_per_minute?.max(0)).unwrap_or(u32::MAX);
        Some(Limit::of_key_rate(&key.id, rate.min(MOST_REQUESTS)))
    });
    let mut limits: Vec<_> = rates.chain(account.limits.iter().filter_map(Limit::of_row)).collect();
    limits.sort_by(|a, b| (a.scope.width(), &a.id).cmp(&(b.scope.width(), &b.id)));
    limits.into_iter().map(Arc::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_back_from_its_words() {
        for kind in ["key", "user", "team", "organisation", "model"] {
            let scope = Scope::of(kind, "x").unwrap();
            assert_eq!((scope.kind(), scope.owner()), (kind, "x"));
        }
        assert_eq!(Scope::of("planet", "x"), None);
    }

    #[test]
    fn a_models_limit_counts_the_calls_that_may_reach_the_model() {
        let target = |provider: &str| Target { provider: provider.into(), model: "m".into() };
        let scope = Scope::Model(Pattern("openai/*".into()));
        let limit = Limit { scope, ..Limit::of_key_rate("k", 1) };
        assert!(limit.counts(&[target("local"), target("openai")]));
        assert!(!limit.counts(&[target("local")]));
        assert!(Limit::of_key_rate("k", 1).counts(&[target("local")]));
    }
}
