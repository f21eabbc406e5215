//! One suite that every [`Provider`] passes, direct or remote: [`conformance`].
//!
//! A test brings a [`Subject`]: the provider, and what stands behind it to play [`Scene`]s. The suite
//! knows no runtime; the subject brings the clock.
//!
//! What is checked: events come in order and fold to the answer that a unary call gives; errors
//! before the first event come from the future and later ones as the stream's last item; an answer
//! that breaks off is never a short success; leaving stops the upstream; usage, tool calls and texts
//! are the same in both ways, byte for byte; what cannot be honoured is refused or warned of; time
//! limits hold; odd prompts get an answer or a typed error.

mod answers;
mod failures;
mod leaving;
mod order;
mod report;
mod requests;
mod tools;
mod wait;

pub use order::{Heard, Order, listen};
pub use report::{Outcome, Report, Verdict};
pub use wait::{all, polled, within};

use crate::{BoxFuture, EmbedRequest, GPU_MS, GenerateRequest, GenerateResponse, Provider, Tool};
use serde_json::json;
use std::time::Duration;

/// A provider under test, and what stands behind it.
pub trait Subject: Send + Sync {
    /// The provider.
    fn provider(&self) -> &dyn Provider;

    /// A request that is answered as a scene says; absent where that cannot be played.
    fn request(&self, scene: &Scene) -> Option<GenerateRequest>;

    /// Texts to make vectors of; absent where the provider has no embeddings.
    fn embed_request(&self) -> Option<EmbedRequest> {
        None
    }

    /// Resolves after a time.
    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()>;

    /// Resolves as soon as a call is worked on behind the provider.
    fn at_work(&self) -> BoxFuture<'_, ()>;

    /// Resolves as soon as no call is worked on behind the provider.
    fn at_rest(&self) -> BoxFuture<'_, ()>;

    /// How long anything may take that must happen soon. Only failing checks wait that long.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// Removes from an answer what is not the same in two answers to one request, one streamed and
    /// one whole.
    fn forget(&self, answer: &mut GenerateResponse) {
        forget(answer);
    }
}

/// Removes from an answer its receipt, its id and the time that it took.
pub fn forget(answer: &mut GenerateResponse) {
    answer.receipt = None;
    answer.origin.response_id = None;
    answer.usage.tool_fees.remove(GPU_MS);
}

/// What the model does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scene {
    /// Says some text and ends by itself.
    Text,
    /// Says this text and nothing else.
    Says(String),
    /// Thinks, in words that are shown, before it says something.
    Thinks,
    /// Is ended by the output limit.
    Length,
    /// Calls [`Scene::tool`] so many times in one turn.
    Calls(u8),
    /// Calls [`Scene::tool`] once, and says the result once it has one.
    Agent,
    /// Says something, bit by bit, for much longer than anybody waits.
    Slow,
    /// Takes the call and never says a word.
    Silent,
    /// Says a few words and then nothing more, without ending.
    Stalls,
    /// Is not asked: the provider refuses with this HTTP status, and says to come back in
    /// [`Scene::RETRY_AFTER`] where the status is 429 or 503.
    Refused(u16),
    /// Says a few words, and then its answer breaks.
    Breaks(Break),
    /// Says something that no program knows yet, beside a text.
    News,
    /// Is asked to honour an option that this provider lacks.
    Lacking,
}

/// How an answer breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// The connection ends in good order, the answer does not.
    Cut,
    /// The connection is reset.
    Reset,
    /// What comes cannot be read.
    Malformed,
    /// The provider tells an error.
    Told,
}

impl Scene {
    /// When a provider that refuses says to come back.
    pub const RETRY_AFTER: Duration = Duration::from_secs(7);

    /// The tool of the scenes that call one.
    pub fn tool() -> Tool {
        let parameters = json!({
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
            "required": ["a"],
        });
        Tool::function("add", "Adds numbers.", parameters)
    }
}

/// Runs every check. The report says which passed, which failed and why, and which could not be
/// made because the subject does not play their scene.
pub async fn conformance(subject: &dyn Subject) -> Report {
    let mut report = Report::default();
    let groups = [
        answers::checks(subject),
        tools::checks(subject),
        requests::checks(subject),
        failures::checks(subject),
        leaving::checks(subject),
    ];
    for (name, check) in groups.into_iter().flatten() {
        let limit = subject.patience().saturating_mul(6);
        let outcome = match within(subject, limit, check).await {
            Ok(outcome) => outcome,
            Err(late) => Err(format!("hangs: {late}")),
        };
        report.add(name, outcome);
    }
    report
}

/// A check by its name.
type Check<'a> = (&'static str, BoxFuture<'a, Outcome>);
