//! One answer per idempotency key: a retry of a finished call gets the same answer, and is neither
//! run nor charged again.
//!
//! Answers are kept in memory, for ten minutes, if they are not too large. A call that broke off
//! is forgotten: what it produced was charged, and a retry is a new call.

use lru::LruCache;
use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tollgate_types::{EventStream, Fold, GenerateResponse, Result, StreamEvent, events_of};

/// Calls remembered; together with `LARGEST` this bounds the memory to 256 MiB.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2048).unwrap();
/// Text of the largest answer that is kept, bytes.
const LARGEST: usize = 128 * 1024;
/// How long an answer is kept.
const WINDOW: Duration = Duration::from_secs(600);

/// Why a call with a key that was used before is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Repeated {
    /// The first call still runs.
    #[error("a call with this idempotency key is still running")]
    Running,
    /// The key belongs to another request.
    #[error("this idempotency key was used for a different request; use a new key")]
    OtherRequest,
    /// The answer was too large to keep.
    #[error("a call with this idempotency key has finished, but its answer was too large to keep")]
    TooLarge,
}

/// The caller's name for a call: the API key and the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallKey {
    /// Id of the API key.
    pub key_id: String,
    /// The idempotency key.
    pub idempotency_key: String,
}

/// A call that has finished.
#[derive(Debug)]
struct Finished {
    fingerprint: [u8; 32],
    since: Instant,
    /// Absent when it was too large to keep.
    answer: Option<Arc<GenerateResponse>>,
}

/// Calls that run are never forgotten; there are no more of them than the server runs at once.
#[derive(Debug)]
struct Calls {
    running: HashMap<CallKey, [u8; 32]>,
    finished: LruCache<CallKey, Finished>,
}

/// The calls that are remembered.
#[derive(Debug)]
pub struct Once(Mutex<Calls>);

impl Default for Once {
    fn default() -> Self {
        let (running, finished) = (HashMap::new(), LruCache::new(REMEMBERED));
        Self(Mutex::new(Calls { running, finished }))
    }
}

/// What to do with a call.
#[derive(Debug)]
pub enum Turn {
    /// Run it, and record its events with the claim.
    First(Claim),
    /// Give this answer again.
    Again(Arc<GenerateResponse>),
}

/// The right to run a call. Dropping it without a recorded end forgets the call.
#[derive(Debug)]
pub struct Claim {
    once: Arc<Once>,
    key: CallKey,
    /// Absent once it is clear that the answer is too large.
    fold: Option<Box<Fold>>,
    bytes: usize,
    finished: bool,
}

impl Once {
    /// Claims a key for a request, or finds what became of it.
    ///
    /// # Errors
    /// Why the call is not to be run.
    pub fn claim(self: &Arc<Self>, key: CallKey, fingerprint: [u8; 32]) -> Result<Turn, Repeated> {
        let mut calls = self.calls();
        if let Some(running) = calls.running.get(&key) {
            let same = *running == fingerprint;
            return Err(if same { Repeated::Running } else { Repeated::OtherRequest });
        }
        let known = calls.finished.get(&key).filter(|known| known.since.elapsed() < WINDOW);
        match known {
            Some(known) if known.fingerprint != fingerprint => return Err(Repeated::OtherRequest),
            Some(Finished { answer: Some(answer), .. }) => {
                return Ok(Turn::Again(Arc::clone(answer)));
            }
            Some(Finished { answer: None, .. }) => return Err(Repeated::TooLarge),
            None => {}
        }
        calls.running.insert(key.clone(), fingerprint);
        drop(calls);
        let (once, fold) = (Arc::clone(self), Some(Box::default()));
        Ok(Turn::First(Claim { once, key, fold, bytes: 0, finished: false }))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Remembers the answer while it passes.
    pub fn record(self, events: EventStream) -> EventStream {
        let passing =
            futures_util::stream::unfold((self, events), |(mut claim, mut events)| async {
                let item = events.next().await?;
                if let Ok(event) = &item {
                    claim.note(event);
                }
                Some((item, (claim, events)))
            });
        EventStream::new(passing)
    }

    fn note(&mut self, event: &StreamEvent) {
        self.bytes = self.bytes.saturating_add(match event {
            StreamEvent::PartDelta { delta, .. } => delta.len(),
            StreamEvent::PartStart { part, .. } => serde_json::to_vec(part).map_or(0, |v| v.len()),
            _ => 0,
        });
        let kept = self.fold.as_mut().is_some_and(|fold| fold.push(event.clone()).is_ok());
        if !kept || self.bytes > LARGEST {
            self.fold = None;
        }
        if matches!(event, StreamEvent::Finish { .. }) {
            self.finished = true;
        }
    }
}

/// A call that finished is remembered, one that broke off is not.
impl Drop for Claim {
    fn drop(&mut self) {
        let mut calls = self.once.calls();
        let Some(fingerprint) = calls.running.remove(&self.key) else { return };
        if self.finished {
            let answer = self.fold.take().and_then(|fold| fold.finish().ok()).map(Arc::new);
            let finished = Finished { fingerprint, since: Instant::now(), answer };
            calls.finished.put(self.key.clone(), finished);
        }
    }
}

/// The events of an answer that is given again.
pub(super) fn again(answer: &GenerateResponse) -> EventStream {
    EventStream::of_events(events_of(answer.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_types::{Extras, FinishReason, Origin, Part, Usage};

    fn key(name: &str) -> CallKey {
        CallKey { key_id: "k".into(), idempotency_key: name.into() }
    }

    fn answer(text: &str) -> EventStream {
        EventStream::of_events(events_of(GenerateResponse {
            content: vec![Part::text(text)],
            finish: FinishReason::Stop.into(),
            usage: Usage::tokens(1, 1),
            origin: Origin::default(),
            warnings: vec![],
            extras: Extras::new(),
            receipt: None,
        }))
    }

    fn first(once: &Arc<Once>, name: &str) -> Claim {
        match once.claim(key(name), [0; 32]).unwrap() {
            Turn::First(claim) => claim,
            Turn::Again(_) => panic!("the call was known already"),
        }
    }

    #[tokio::test]
    async fn a_retry_of_a_finished_call_gets_the_same_answer() {
        let once = Arc::new(Once::default());
        let claim = first(&once, "a");
        assert_eq!(once.claim(key("a"), [0; 32]).unwrap_err(), Repeated::Running);
        assert_eq!(once.claim(key("a"), [1; 32]).unwrap_err(), Repeated::OtherRequest);
        let given = claim.record(answer("hello")).collect().await.unwrap();
        let Turn::Again(again) = once.claim(key("a"), [0; 32]).unwrap() else {
            panic!("a finished call would run again");
        };
        assert_eq!(*again, given);
    }

    #[tokio::test]
    async fn a_call_that_broke_off_is_forgotten() {
        let once = Arc::new(Once::default());
        drop(first(&once, "a"));
        let mut events = first(&once, "a").record(answer("hello"));
        events.next().await.unwrap().unwrap();
        drop(events);
        first(&once, "a");
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_not_kept_and_not_run_again() {
        let once = Arc::new(Once::default());
        let large = answer(&"x".repeat(LARGEST + 1));
        first(&once, "a").record(large).collect().await.unwrap();
        assert_eq!(once.claim(key("a"), [0; 32]).unwrap_err(), Repeated::TooLarge);
    }
}
