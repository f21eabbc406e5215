//! Runs: calls whose events are numbered, so that a client which lost its connection can go on.
//!
//! A call without an idempotency key that is not resumable passes straight through. Any other is
//! made by a task of its own (`drive`), which keeps the events in a bounded log (`log`, `live`) for
//! whoever reads them: the connection that began the call, and every one that joins it again. Which
//! server makes a call under a key is written down before the provider is asked (`claims`).

mod claims;
mod drive;
mod elsewhere;
mod error;
mod events;
mod live;
mod log;
mod relay;
mod roll;
mod status;
mod work;

pub use error::RunError;
pub use events::{Numbered, RunEvents};

use crate::{
    access::{self, Caller, Target},
    clock::Clock,
    config::{Redis, RunSettings},
    gateway::{Answer, Call, Embedded, Gateway, Refusal},
    ledger::{HoldError, Order},
    limits::Rates,
    store::Store,
};
use claims::{Claims, Writer};
use drive::{Drive, Started};
use live::{CallKey, Live, Reader, Terms};
use relay::Relay;
use roll::{Roll, Turn};
use std::sync::Arc;
use tokio::sync::oneshot;
use tollgate_types::{EmbedRequest, Error, ErrorKind, Feature};
use work::Work;

/// How a call is made, apart from what it asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The idempotency key, and the hash of what is asked under it.
    pub key: Option<(String, [u8; 32])>,
    /// The run outlives its connection for a while.
    pub resumable: bool,
}

/// A run that can be read. Dropping its events is leaving it: when the last reader leaves a run
/// that is not resumable, it is cancelled.
#[derive(Debug)]
pub struct Run {
    /// Id of the request that began it.
    pub id: String,
    /// Who answers.
    pub target: Target,
    /// The output limit that budgets imposed, if they did.
    pub clamped_to: Option<u32>,
    /// How the caller stands to its rates.
    pub rates: Rates,
    /// The events, with their numbers.
    pub events: RunEvents,
}

impl Run {
    /// The run as an answer whose events have lost their numbers, and its id.
    pub fn into_answer(self) -> (Answer, String) {
        let Self { id, target, clamped_to, rates, events } = self;
        (Answer { target, clamped_to, rates, events: events.into_events() }, id)
    }

    fn passing(id: String, answer: Answer) -> Self {
        let Answer { target, clamped_to, rates, events } = answer;
        Self { id, target, clamped_to, rates, events: RunEvents::passing(events) }
    }
}

/// What all runs of this server have in common.
#[derive(Debug)]
struct Shared {
    gateway: Arc<Gateway>,
    store: Store,
    clock: Arc<dyn Clock>,
    settings: RunSettings,
    roll: Arc<Roll>,
    /// Absent where calls are not written down.
    claims: Option<Claims>,
    /// Absent where no Redis is named.
    relay: Option<Relay>,
}

/// The runs of this server.
#[derive(Clone, Debug)]
pub struct Runs(Arc<Shared>);

impl Runs {
    /// No runs yet. Starts the task that writes them down, and the one that shows them to other
    /// servers.
    pub fn start(
        gateway: Arc<Gateway>,
        (store, clock): (Store, Arc<dyn Clock>),
        (settings, redis): (RunSettings, &Redis),
    ) -> Self {
        let roll = Arc::new(Roll::new(&settings));
        let node = gateway.ledger.node().to_owned();
        let relay = Relay::new(redis, &gateway.tasks).filter(|_| settings.durable);
        if let Some(relay) = &relay {
            relay.serve(node.clone(), Arc::clone(&roll));
        }
        let claims = settings.durable.then(|| {
            let (store, clock, roll) = (store.clone(), Arc::clone(&clock), Arc::clone(&roll));
            let ledger = gateway.ledger.clone();
            Claims::start(Writer { ledger, store, clock, node, roll }, &gateway.tasks)
        });
        Self(Arc::new(Shared { gateway, store, clock, settings, roll, claims, relay }))
    }

    /// Makes a call, or joins the one that was made under the same idempotency key.
    ///
    /// # Errors
    /// Why the call was not made, or how the upstream failed before its first event.
    pub async fn begin(
        &self,
        caller: &Arc<Caller>,
        call: Call,
        options: RunOptions,
    ) -> Result<Run, RunError> {
        if options.key.is_none() && !options.resumable {
            let id = call.request_id.clone();
            return Ok(Run::passing(id, self.0.gateway.run(caller, call).await?));
        }
        self.make(caller, Work::Answer(Box::new(call)), options).await
    }

    /// Turns texts into vectors, or gives those that were made under the same idempotency key.
    /// Returns the id of the request that made them, too.
    ///
    /// # Errors
    /// Why the call was not made, or how the upstream failed.
    pub async fn embed(
        &self,
        caller: &Arc<Caller>,
        order: Order,
        (request, key): (EmbedRequest, Option<(String, [u8; 32])>),
    ) -> Result<(Embedded, String), RunError> {
        if key.is_none() {
            let id = order.request_id.clone();
            return Ok((self.0.gateway.embed(caller, order, request).await?, id));
        }
        let work = Work::Embed(Box::new((order, request)));
        let run = self.make(caller, work, RunOptions { key, resumable: false }).await?;
        let Run { id, target, rates, events, .. } = run;
        Ok((Embedded { target, rates, response: work::vectors(events).await? }, id))
    }

    async fn make(
        &self,
        caller: &Arc<Caller>,
        work: Work,
        options: RunOptions,
    ) -> Result<Run, RunError> {
        let terms = self.terms(caller, &work, options);
        loop {
            match self.0.roll.enter(terms.clone())? {
                Turn::First(live, reader) => {
                    return self.lead(caller, work, (live, reader)).await;
                }
                Turn::Again(live, reader) => {
                    let rates = work.permitted(&self.0.gateway, caller).await?;
                    if let Some(run) = follow(&live, (reader, 0), Some(rates)).await {
                        return Ok(run);
                    }
                    // It was not made, so this is a call of its own.
                }
            }
        }
    }

    fn terms(&self, caller: &Caller, work: &Work, options: RunOptions) -> Terms {
        let (key, fingerprint) = options.key.unzip();
        Terms {
            id: work.request_id().to_owned(),
            user_id: caller.user_id().to_owned(),
            keys: caller.keys().map(str::to_owned).collect(),
            key: key.map(|key| call_key(caller, key)),
            fingerprint: fingerprint.unwrap_or_default(),
            resumable: options.resumable,
            started_ms: self.0.clock.now_ms(),
        }
    }

    /// Has the call made by a task of its own, and is its first reader.
    async fn lead(
        &self,
        caller: &Arc<Caller>,
        work: Work,
        (live, reader): (Arc<Live>, Reader),
    ) -> Result<Run, RunError> {
        let (tell, told) = oneshot::channel();
        let drive = Drive {
            shared: Arc::clone(&self.0),
            live: Arc::clone(&live),
            caller: Arc::clone(caller),
        };
        let tasks = &self.0.gateway.tasks;
        let again = work.clone();
        let driving = drive.run_to_its_end(work, tell);
        match &self.0.claims {
            Some(claims) => tasks.spawn(claims.runs.track_future(driving)),
            None => tasks.spawn(driving),
        }
        let closed = || Started::Refused(Refusal::Hold(HoldError::Closed));
        match told.await.unwrap_or_else(|_| closed()) {
            Started::Open => follow(&live, (reader, 0), None).await.ok_or(RunError::Cancelled),
            Started::Refused(refusal) => Err(refusal.into()),
            Started::Cancelled => Err(RunError::Cancelled),
            Started::Unwritten(error) => Err(error.into()),
            Started::Theirs => self.begun_elsewhere(caller, &again, &live.terms).await,
        }
    }

    /// Joins a run again behind the event `after`, or from its beginning. The run is named by its
    /// id, or as `key:<idempotency key>`.
    ///
    /// # Errors
    /// When the caller has no such run, or the events are not kept any more.
    pub async fn attach(
        &self,
        caller: &Arc<Caller>,
        name: &str,
        after: Option<u64>,
    ) -> Result<Run, RunError> {
        let next = after.map_or(0, |after| after.saturating_add(1));
        let run = match self.find(caller, name) {
            Some(live) => join(&live, name, next).await?,
            None => {
                let run = self.written(caller, name).await?.ok_or_else(|| unknown(name))?;
                self.read_elsewhere(&run, next).await?
            }
        };
        let features = [Feature::Chat, Feature::Stream];
        access::authorize(caller, vec![run.target.clone()], &features).map_err(Refusal::from)?;
        Ok(run)
    }

    /// Cancels a run, for good. One that has ended already stays as it ended. A key that no call
    /// has come with yet is remembered for some seconds: its call is not made.
    ///
    /// # Errors
    /// When the caller has no such run.
    pub async fn cancel(&self, caller: &Arc<Caller>, name: &str) -> Result<(), RunError> {
        if let Some(live) = self.find(caller, name) {
            live.cancel.cancel();
            return Ok(());
        }
        match (self.written(caller, name).await?, name.strip_prefix(KEY)) {
            (Some(run), _) => {
                Ok(self.0.store.ask_to_cancel(&run.request_id, self.0.clock.now_ms()).await?)
            }
            (None, Some(key)) => {
                self.cancel_early(caller, key).await;
                Ok(())
            }
            (None, None) => Err(unknown(name)),
        }
    }

    /// A run that this server knows, if the caller may know of it.
    fn find(&self, caller: &Caller, name: &str) -> Option<Arc<Live>> {
        let live = match name.strip_prefix(KEY) {
            Some(key) => self.0.roll.of_key(&call_key(caller, key.to_owned())),
            None => self.0.roll.of_id(name),
        };
        live.filter(|live| live.is_of(caller))
    }
}

/// What stands before an idempotency key that names a run.
const KEY: &str = "key:";

fn call_key(caller: &Caller, idempotency_key: String) -> CallKey {
    CallKey { key_id: caller.key_id().to_owned(), idempotency_key }
}

fn unknown(name: &str) -> RunError {
    RunError::Unknown(name.chars().take(64).collect())
}

/// Another reader of a run, from the event `next` on.
async fn join(live: &Arc<Live>, name: &str, next: u64) -> Result<Run, RunError> {
    let reader = live.read_from(next);
    let (first, coming) = live.numbers();
    if next < first {
        return Err(RunError::EventsNotKept { first });
    }
    if next > coming || (next == coming && live.end().is_some()) {
        return Err(RunError::NothingFollows { events: coming });
    }
    follow(live, (reader, next), None).await.ok_or_else(|| unknown(name))
}

/// A run as a reader gets it; `None` when the call was not made.
async fn follow(
    live: &Arc<Live>,
    (reader, next): (Reader, u64),
    rates: Option<Rates>,
) -> Option<Run> {
    let opening = live.opened().await?;
    Some(Run {
        id: live.terms.id.clone(),
        target: opening.target,
        clamped_to: opening.clamped_to,
        rates: rates.unwrap_or(opening.rates),
        events: RunEvents::of_reader(reader, next),
    })
}

/// The error of a run that was cancelled.
fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the call was cancelled")
        .with(|body| body.code = Some("run_cancelled".to_owned()))
}

/// Hash of an idempotency key, as hexadecimal digits.
fn hash(key: &str) -> String {
    hex(blake3::hash(key.as_bytes()).as_bytes())
}

fn hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}
