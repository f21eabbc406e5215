//! The runs that this server knows: those that it makes, and for a while those that it made.

use super::{
    RunError,
    live::{CallKey, End, Live, Reader, Terms},
};
use crate::config::RunSettings;
use lru::LruCache;
use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// Ended runs that are known at once.
const MOST_ENDED: usize = 4096;
/// Cancellations that came before their calls, and for how long they are remembered.
const MOST_EARLY: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
pub(super) const EARLY: Duration = Duration::from_secs(30);

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Turn {
    /// It is made, and this reader is its first.
    First(Arc<Live>, Reader),
    /// It was made: this reader gets it from its beginning.
    Again(Arc<Live>, Reader),
}

#[derive(Debug)]
struct Known {
    by_id: HashMap<String, Arc<Live>>,
    /// Runs that idempotency keys belong to.
    by_key: HashMap<CallKey, Arc<Live>>,
    /// The oldest first.
    ended: VecDeque<(Instant, Arc<Live>)>,
    early: LruCache<CallKey, Instant>,
}

/// The runs that this server knows.
#[derive(Debug)]
pub(super) struct Roll {
    known: Mutex<Known>,
    /// What is kept of all runs together, bytes.
    total: Arc<AtomicUsize>,
    keep: Duration,
    total_bytes: usize,
}

impl Roll {
    pub(super) fn new(settings: &RunSettings) -> Self {
        let known = Known {
            by_id: HashMap::new(),
            by_key: HashMap::new(),
            ended: VecDeque::new(),
            early: LruCache::new(MOST_EARLY),
        };
        Self {
            known: Mutex::new(known),
            total: Arc::default(),
            keep: settings.keep(),
            total_bytes: settings.total_bytes,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a call, or finds the run that its idempotency key belongs to.
    ///
    /// # Errors
    /// Why the call is neither made nor joined.
    pub(super) fn enter(&self, terms: Terms) -> Result<Turn, RunError> {
        let mut known = self.known();
        self.forget_old(&mut known);
        if let Some(key) = &terms.key {
            if known.early.pop(key).is_some_and(|since| since.elapsed() < EARLY) {
                return Err(RunError::Cancelled);
            }
            let again = known.by_key.get(key).map(|live| again(live, &terms)).transpose()?;
            if let Some(turn) = again.flatten() {
                return Ok(turn);
            }
        }
        let live = Live::new(terms, Arc::clone(&self.total));
        known.by_id.insert(live.terms.id.clone(), Arc::clone(&live));
        if let Some(key) = &live.terms.key {
            known.by_key.insert(key.clone(), Arc::clone(&live));
        }
        let reader = live.read_from(0);
        Ok(Turn::First(live, reader))
    }

    pub(super) fn of_id(&self, id: &str) -> Option<Arc<Live>> {
        let mut known = self.known();
        self.forget_old(&mut known);
        known.by_id.get(id).cloned()
    }

    pub(super) fn of_key(&self, key: &CallKey) -> Option<Arc<Live>> {
        let mut known = self.known();
        self.forget_old(&mut known);
        known.by_key.get(key).cloned()
    }

    /// A call that has not come yet is not to be made. Returns the run of the key if it has come by
    /// now, and remembers nothing then.
    pub(super) fn cancel_early(&self, key: CallKey) -> Option<Arc<Live>> {
        let mut known = self.known();
        if let Some(live) = known.by_key.get(&key) {
            return Some(Arc::clone(live));
        }
        known.early.put(key, Instant::now());
        None
    }

    /// The call was not made: nobody shall find it.
    pub(super) fn strike(&self, live: &Arc<Live>) {
        let mut known = self.known();
        known.by_id.remove(&live.terms.id);
        release(&mut known, live);
    }

    /// The run has ended. Its key is free where a retry is a call of its own.
    pub(super) fn ended(&self, live: &Arc<Live>, frees_key: bool) {
        let mut known = self.known();
        if frees_key {
            release(&mut known, live);
        }
        known.ended.push_back((Instant::now(), Arc::clone(live)));
        self.forget_old(&mut known);
    }

    /// How many bytes a run may keep now: little where all together keep too much.
    pub(super) fn limit(&self, own: usize, total: usize) -> usize {
        if total > self.total_bytes { own.min(self.total_bytes / 64) } else { own }
    }

    fn forget_old(&self, known: &mut Known) {
        while known.ended.front().is_some_and(|(since, _)| {
            since.elapsed() >= self.keep
                || known.ended.len() > MOST_ENDED
                || self.total.load(Ordering::Relaxed) > self.total_bytes
        }) {
            let Some((_, live)) = known.ended.pop_front() else { return };
            known.by_id.remove(&live.terms.id);
            release(known, &live);
        }
    }
}

/// Frees the key of a run, unless it belongs to another one by now.
fn release(known: &mut Known, live: &Arc<Live>) {
    let Some(key) = &live.terms.key else { return };
    if known.by_key.get(key).is_some_and(|other| Arc::ptr_eq(other, live)) {
        known.by_key.remove(key);
    }
}

/// The run that a key belongs to, for a call that came with the key again; `None` when the call is
/// one of its own.
fn again(live: &Arc<Live>, terms: &Terms) -> Result<Option<Turn>, RunError> {
    if live.terms.fingerprint != terms.fingerprint {
        return Err(RunError::OtherRequest);
    }
    let reader = live.read_from(0);
    match live.end() {
        Some((End::Failed, _)) => Ok(None),
        Some((End::Abandoned, _)) if !live.terms.resumable => Ok(None),
        Some((End::Cancelled | End::Abandoned, _)) => Err(RunError::Cancelled),
        _ if live.numbers().0 > 0 => Err(RunError::NotKept),
        Some((End::Finished, _)) | None => Ok(Some(Turn::Again(Arc::clone(live), reader))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_types::{Error, ErrorKind, StreamEvent};

    fn terms(id: &str, key: &str) -> Terms {
        let key = CallKey { key_id: "k".into(), idempotency_key: key.into() };
        Terms {
            id: id.into(),
            user_id: "u".into(),
            keys: vec!["k".into()],
            key: Some(key),
            fingerprint: [0; 32],
            resumable: false,
            started_ms: 0,
        }
    }

    fn first(roll: &Roll, id: &str, key: &str) -> (Arc<Live>, Reader) {
        match roll.enter(terms(id, key)).unwrap() {
            Turn::First(live, reader) => (live, reader),
            Turn::Again(live, _) => panic!("{id} joined {}", live.terms.id),
        }
    }

    fn end(roll: &Roll, live: &Arc<Live>, end: End) {
        live.push(Err(Error::new(ErrorKind::Cancelled, "over")));
        live.close(end, 1);
        let frees = matches!(end, End::Failed | End::Abandoned);
        roll.ended(live, frees);
    }

    #[test]
    fn a_call_joins_the_run_of_its_key_while_that_runs_and_when_it_has_finished() {
        let roll = Roll::new(&RunSettings::default());
        let (live, _reader) = first(&roll, "1", "a");
        let joined = roll.enter(terms("2", "a")).unwrap();
        assert!(matches!(joined, Turn::Again(live, _) if live.terms.id == "1"));
        let other = Terms { fingerprint: [1; 32], ..terms("3", "a") };
        assert!(matches!(roll.enter(other), Err(RunError::OtherRequest)));
        first(&roll, "4", "b");
        end(&roll, &live, End::Finished);
        assert!(matches!(roll.enter(terms("5", "a")), Ok(Turn::Again(..))));
    }

    #[test]
    fn a_run_that_broke_frees_its_key_and_can_still_be_read_by_its_id() {
        let roll = Roll::new(&RunSettings::default());
        for (id, how) in [("1", End::Failed), ("2", End::Abandoned)] {
            let (live, _) = first(&roll, id, "a");
            end(&roll, &live, how);
            assert!(roll.of_id(id).is_some());
        }
        let (live, _) = first(&roll, "3", "a");
        end(&roll, &live, End::Cancelled);
        assert!(matches!(roll.enter(terms("4", "a")), Err(RunError::Cancelled)));
    }

    #[test]
    fn a_cancellation_that_overtook_its_call_refuses_it_once() {
        let roll = Roll::new(&RunSettings::default());
        let key = || CallKey { key_id: "k".into(), idempotency_key: "a".into() };
        assert!(roll.cancel_early(key()).is_none());
        assert!(matches!(roll.enter(terms("1", "a")), Err(RunError::Cancelled)));
        let (live, _) = first(&roll, "2", "a");
        assert!(Arc::ptr_eq(&roll.cancel_early(key()).unwrap(), &live), "it has come by now");
        assert!(!roll.known().early.contains(&key()), "nothing is remembered against a retry");
    }

    #[test]
    fn ended_runs_are_forgotten_when_all_together_are_too_large() {
        let settings = RunSettings { total_bytes: 100_000, ..RunSettings::default() };
        let roll = Roll::new(&settings);
        let ids: Vec<String> = (0..10).map(|n| n.to_string()).collect();
        for id in &ids {
            let (live, _) = first(&roll, id, id);
            live.push(Ok(StreamEvent::delta(0, "x".repeat(30_000))));
            end(&roll, &live, End::Finished);
        }
        let known: Vec<_> = ids.iter().filter(|id| roll.of_id(id).is_some()).collect();
        assert_eq!(known, ["7", "8", "9"]);
        assert!(roll.total.load(Ordering::Relaxed) <= 100_000);
        assert!(roll.limit(1 << 20, 100_001) < 1 << 20);
    }
}
