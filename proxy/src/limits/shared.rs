//! Limits that several servers keep together, in Redis.
//!
//! An admission is one script, so a call is counted by all of its limits or by none, and Redis' own
//! clock is the only one. Running calls hold leases: a server that dies keeps no place for long.

mod keep;
mod keys;
mod lease;
mod link;

pub(super) use lease::Lease;

use super::{Call, RateState, Rates, bucket::MINUTE, call::Busy, limited::Measure};
use crate::{
    access::Limit,
    config::{OnFailure, Redis},
    tasks::Tasks,
};
use keys::Keys;
use link::Link;
use redis::Script;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// How often the first in a queue looks whether another server has freed a place.
const LOOK: Duration = Duration::from_millis(25);
/// How long a call that waits is kept in the queue without being heard of.
const BELIEVED: Duration = Duration::from_millis(500);

/// Redis does not answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silent;

/// Limits that several servers keep together.
#[derive(Debug)]
pub(super) struct Shared {
    link: Link,
    keys: Keys,
    on_failure: OnFailure,
    lease: Duration,
    /// Makes the names of this server's calls its own.
    node: String,
    calls: AtomicU64,
    /// Calls that run, and where they hold places.
    running: Mutex<HashMap<String, Vec<String>>>,
    scripts: Scripts,
    tasks: Tasks,
}

#[derive(Debug)]
struct Scripts {
    admit: Script,
    correct: Script,
    renew: Script,
}

impl Shared {
    /// Connects if Redis answers, and goes on trying if it does not. `None` where none is named.
    ///
    /// # Errors
    /// When the settings are not right.
    pub(super) async fn open(settings: &Redis, tasks: &Tasks) -> Result<Option<Arc<Self>>, String> {
        let Some(client) = settings.client()? else { return Ok(None) };
        let wrong = |error: redis::RedisError| format!("redis.url: {}", error.category());
        let mut node = [0; 8];
        getrandom::fill(&mut node).map_err(|error| error.to_string())?;
        let shared = Arc::new(Self {
            link: Link::new(&client, settings.timeout()).map_err(wrong)?,
            keys: Keys::new(&settings.prefix),
            on_failure: settings.on_failure,
            lease: settings.lease(),
            node: format!("{:016x}", u64::from_be_bytes(node)),
            calls: AtomicU64::default(),
            running: Mutex::default(),
            scripts: Scripts {
                admit: Script::new(include_str!("shared/admit.lua")),
                correct: Script::new(include_str!("shared/correct.lua")),
                renew: Script::new(include_str!("shared/renew.lua")),
            },
            tasks: tasks.clone(),
        });
        let made = shared.reach(0).await;
        tasks.spawn(keep::keep(Arc::clone(&shared), made));
        Ok(Some(shared))
    }

    pub(super) fn on_failure(&self) -> OnFailure {
        self.on_failure
    }

    /// Whether Redis answered when it was asked last.
    pub(super) fn is_up(&self) -> bool {
        self.link.is_up()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Vec<String>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_call(&self) -> String {
        format!("{}-{}", self.node, self.calls.fetch_add(1, Ordering::Relaxed))
    }

    /// Admits a call to all of its limits, or to none.
    ///
    /// # Errors
    /// When Redis does not answer; within it, a limit that refuses the call.
    pub(super) async fn take(
        &self,
        call: &Call,
        lease: &Lease,
    ) -> Result<Result<Rates, Busy>, Silent> {
        let mut asked = self.scripts.admit.prepare_invoke();
        for key in call.limits.iter().flat_map(|limit| self.keys.of(limit)) {
            asked.key(key);
        }
        asked.arg(lease.ask()).arg(call.tokens);
        asked.arg(micros(self.lease)).arg(micros(BELIEVED));
        for limit in call.limits.iter() {
            asked.arg(limit.requests_per_minute.map_or(-1, i64::from));
            asked.arg(limit.tokens_per_minute.map_or(-1, signed));
            asked.arg(limit.concurrent.map_or(-1, i64::from));
            asked.arg(u8::from(!limit.queue.is_zero()));
        }
        let answer = self
            .link
            .ask(async |mut connection| asked.invoke_async::<Vec<i64>>(&mut connection).await);
        read(&call.limits, &answer.await.ok_or(Silent)?).ok_or(Silent)
    }

    /// Tells Redis that a call has used `used` tokens instead of those that it took. In the
    /// background, and in vain while Redis does not answer.
    pub(super) fn correct(self: Arc<Self>, call: &Call, used: u64) {
        let limited = |limit: &&Arc<Limit>| limit.tokens_per_minute.is_some_and(|n| n > 0);
        let limits: Vec<_> = call.limits.iter().filter(limited).cloned().collect();
        if limits.is_empty() {
            return;
        }
        let more = signed(used).saturating_sub(signed(call.tokens));
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            let mut asked = self.scripts.correct.prepare_invoke();
            asked.arg(more);
            for limit in &limits {
                asked.key(self.keys.tokens(limit));
                asked.arg(limit.tokens_per_minute.unwrap_or_default());
            }
            let told = async |mut connection| asked.invoke_async::<()>(&mut connection).await;
            self.link.ask(told).await.unwrap_or_default();
        });
    }
}

/// What the script of an admission answered.
fn read(limits: &[Arc<Limit>], answer: &[i64]) -> Option<Result<Rates, Busy>> {
    let (&refused, rest) = answer.split_first()?;
    if let Some(number) = usize::try_from(refused).ok()?.checked_sub(1) {
        let (limit, &[what, wait]) = (limits.get(number)?, rest) else { return None };
        let wait = Duration::from_micros(u64::try_from(wait).ok()?);
        return Some(Err(match what {
            1 => Busy::rate(limit, Measure::Requests, wait),
            2 => Busy::rate(limit, Measure::Tokens, wait),
            _ => Busy { again: Some(LOOK), ..Busy::turn(limit) },
        }));
    }
    let mut rates = Rates::default();
    for (limit, owed) in limits.iter().zip(rest.chunks_exact(2)) {
        let &[requests, tokens] = owed else { return None };
        if let Some(limit) = limit.requests_per_minute {
            rates.note_requests(state(u64::from(limit), requests)?);
        }
        if let Some(limit) = limit.tokens_per_minute {
            rates.note_tokens(state(limit, tokens)?);
        }
    }
    Some(Ok(rates))
}

/// The state of a rate that is full again in `owed` microseconds.
fn state(limit: u64, owed: i64) -> Option<RateState> {
    let owed = u64::try_from(owed).ok()?;
    // The script rounds up by less than one.
    let taken = u128::from(owed.saturating_sub(1)) * u128::from(limit);
    let taken = taken.div_ceil(MINUTE.as_micros());
    let remaining = limit.saturating_sub(u64::try_from(taken).ok()?);
    Some(RateState { limit, remaining, reset: Duration::from_micros(owed) })
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
