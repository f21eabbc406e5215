//! An answer as it grows.

use crate::{
    Citation, Error, Extras, Finish, Origin, Part, Receipt, TokenLogprob, Usage, Warning, lenient,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One step of a streamed answer.
///
/// Parts are numbered and may interleave. Deltas only append; `part_end` carries only what deltas
/// cannot. Exactly one `finish` ends a good stream: a stream that stops without one is
/// [`crate::ErrorKind::StreamInterrupted`], never a short success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StreamEvent {
    /// The answer begins. A second one begins it anew: the parts before it do not count any more.
    Start {
        /// Who answers.
        origin: Origin,
        /// Tollgate's id of the request; absent when a provider is called directly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request_id: Option<String>,
        /// What is not honoured as asked.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<Warning>,
    },
    /// A part opens with everything that is known of it.
    PartStart {
        /// Number of the part.
        index: u32,
        /// The part; its text may still be empty.
        #[serde(deserialize_with = "lenient::part")]
        part: Part,
    },
    /// More of a part's text, reasoning, refusal, tool arguments or base64 data.
    PartDelta {
        /// Number of the part.
        index: u32,
        /// What to append.
        delta: String,
        /// Log-probabilities of the tokens in the delta, when asked for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        logprobs: Vec<TokenLogprob>,
    },
    /// A part is complete.
    PartEnd {
        /// Number of the part.
        index: u32,
        /// Signature of a reasoning part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        /// Sources of a text part.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Citation>,
        /// Provider-namespaced data of the part.
        #[serde(default, skip_serializing_if = "Extras::is_empty")]
        extras: Extras,
    },
    /// What has been used so far: each one replaces the one before.
    Usage {
        /// Cumulative usage.
        usage: Usage,
    },
    /// A provider's event that nobody models yet: delivered, never folded.
    Raw {
        /// The wire format it belongs to.
        api: String,
        /// The event, verbatim.
        value: Value,
    },
    /// A piece of the answer as the provider wrote it, for a caller who speaks the provider's wire
    /// format (see [`crate::Original`]); the events around it say the same. Never crosses a wire.
    #[serde(skip)]
    Verbatim {
        /// Payload of one event, or the whole body of an answer that is not streamed.
        data: String,
        /// The provider has said why it stops: nothing of this is released before the call is
        /// settled.
        closing: bool,
    },
    /// The answer is complete.
    Finish {
        /// Why the model stopped.
        finish: Finish,
        /// What was used in all.
        usage: Usage,
        /// Provider-namespaced data of the answer.
        #[serde(default, skip_serializing_if = "Extras::is_empty")]
        extras: Extras,
        /// What Tollgate charged; absent when a provider is called directly.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipt: Option<Receipt>,
    },
    /// The answer broke: on a wire only. In Rust the stream's last item is an `Err` instead.
    Error {
        /// What went wrong.
        error: Error,
    },
}

impl StreamEvent {
    /// The event's name, as in its `type` field.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::PartStart { .. } => "part_start",
            Self::PartDelta { .. } => "part_delta",
            Self::PartEnd { .. } => "part_end",
            Self::Usage { .. } => "usage",
            Self::Raw { .. } => "raw",
            Self::Verbatim { .. } => "verbatim",
            Self::Finish { .. } => "finish",
            Self::Error { .. } => "error",
        }
    }

    /// A delta without log-probabilities.
    pub fn delta(index: u32, delta: impl Into<String>) -> Self {
        Self::PartDelta { index, delta: delta.into(), logprobs: Vec::new() }
    }

    /// The end of a part about which the deltas said everything.
    pub fn part_end(index: u32) -> Self {
        Self::PartEnd { index, signature: None, citations: Vec::new(), extras: Extras::new() }
    }
}
