//! Runs: calls whose events are numbered, so that a client which lost its connection can go on.
//!
//! A call without an idempotency key that is not resumable passes straight through.

mod events;

pub use events::{Numbered, RunEvents};

use crate::{
    access::{Caller, Target},
    gateway::{Answer, Call, Gateway, Refusal},
    limits::Rates,
};
use std::sync::Arc;

/// Why there is no run to read.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The call was not made.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller has no such run, or it is forgotten.
    #[error("there is no run {0:?}")]
    Unknown(String),
}

/// How a call is made, apart from what it asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The idempotency key, and the hash of what is asked under it.
    pub key: Option<(String, [u8; 32])>,
    /// The run outlives its connection for a while.
    pub resumable: bool,
}

/// A run that can be read. Dropping its events is leaving it: the last reader that leaves a run
/// which is not resumable cancels it.
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

/// The runs of this server.
#[derive(Clone, Debug)]
pub struct Runs {
    gateway: Arc<Gateway>,
}

impl Runs {
    /// No runs yet.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
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
        let id = call.request_id.clone();
        let answer = match options.key {
            Some(key) => self.gateway.run_once(caller, call, key).await?,
            None => self.gateway.run(caller, call).await?,
        };
        Ok(Run::passing(id, answer))
    }

    /// Joins a run again behind the event `after`, or from its beginning. The run is named by its
    /// id, or as `key:<idempotency key>`.
    ///
    /// # Errors
    /// When the caller has no such run.
    pub async fn attach(
        &self,
        _caller: &Arc<Caller>,
        id: &str,
        _after: Option<u64>,
    ) -> Result<Run, RunError> {
        Err(RunError::Unknown(id.to_owned()))
    }

    /// Cancels a run, for good. One that has ended already stays as it ended.
    ///
    /// # Errors
    /// When the caller has no such run.
    pub async fn cancel(&self, _caller: &Arc<Caller>, id: &str) -> Result<(), RunError> {
        Err(RunError::Unknown(id.to_owned()))
    }
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
