//! Limits over real admissions: in one process, in queues, and over a real Redis.

mod local;
mod outages;
mod queues;
mod shared;

use super::{Limited, Measure};
use crate::access::{Caller, Limit, Pattern, Permissions, Permit, Role, Scope, Target, authorize};
use std::{sync::Arc, time::Duration};

/// A limit of nothing yet.
fn limit(scope: Scope) -> Limit {
    Limit {
        id: format!("of-{}-{}", scope.kind(), scope.owner()),
        scope,
        requests_per_minute: None,
        tokens_per_minute: None,
        concurrent: None,
        queue: Duration::ZERO,
    }
}

fn key(id: &str) -> Limit {
    limit(Scope::Key(id.to_owned()))
}

fn team() -> Limit {
    limit(Scope::Team("t".to_owned()))
}

fn model(pattern: &str) -> Limit {
    limit(Scope::Model(Pattern(pattern.to_owned())))
}

fn at_once(concurrent: u32, limit: Limit) -> Limit {
    Limit { concurrent: Some(concurrent), ..limit }
}

fn requests(requests_per_minute: u32, limit: Limit) -> Limit {
    Limit { requests_per_minute: Some(requests_per_minute), ..limit }
}

fn tokens(tokens_per_minute: u64, limit: Limit) -> Limit {
    Limit { tokens_per_minute: Some(tokens_per_minute), ..limit }
}

fn queued(ms: u64, limit: Limit) -> Limit {
    Limit { queue: Duration::from_millis(ms), ..limit }
}

/// A call of somebody with these limits to `p/m`.
fn call<const N: usize>(limits: [Limit; N]) -> Permit {
    let caller = Caller::for_tests(Role::Member, [Permissions::default()]);
    let caller = Arc::new(caller.with_limits(limits.to_vec()));
    let target = Target { provider: "p".into(), model: "m".into() };
    authorize(&caller, vec![target], &[]).unwrap()
}

/// What of which limit refused.
fn refusal<T: std::fmt::Debug>(answer: Result<T, Limited>) -> (Measure, String, Duration) {
    match answer.unwrap_err() {
        Limited::Over { limit, measure, retry_after } => (measure, limit.id.clone(), retry_after),
        other => panic!("{other}"),
    }
}
