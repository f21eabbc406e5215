//! What a model answered.

use crate::{BudgetStatus, Extras, Message, NanoUsd, Origin, Part, Role, ToolCall, Usage, lenient};
use serde::{Deserialize, Serialize};

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerateResponse {
    /// The answer's parts, in the provider's order.
    #[serde(deserialize_with = "lenient::parts")]
    pub content: Vec<Part>,
    /// Why the model stopped.
    pub finish: Finish,
    /// What was used.
    pub usage: Usage,
    /// Who answered.
    pub origin: Origin,
    /// What was not honoured as asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// Provider-namespaced data.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
    /// What Tollgate charged; absent when a provider was called directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
}

impl GenerateResponse {
    /// All text parts joined.
    pub fn text(&self) -> String {
        self.content.iter().filter_map(Part::as_text).collect()
    }

    /// The calls that the caller has to run.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.content.iter().filter_map(|part| match part {
            Part::ToolCall(call) if !call.hosted => Some(call),
            _ => None,
        })
    }

    /// The turn to push back into the conversation: content and provenance together.
    pub fn into_message(self) -> Message {
        let mut message = Message::new(Role::Assistant, self.content);
        message.origin = Some(self.origin);
        message
    }
}

/// Why the model stopped: the common reason and the provider's own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finish {
    /// The common reason.
    pub reason: FinishReason,
    /// The provider's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

impl From<FinishReason> for Finish {
    fn from(reason: FinishReason) -> Self {
        Self { reason, raw: None }
    }
}

/// The common reasons to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    Stop,
    /// The output limit was reached.
    Length,
    /// A budget was used up while the answer ran; what was delivered is kept.
    BudgetExhausted,
    /// The model wants tools to be run.
    ToolCalls,
    /// The provider withheld content.
    ContentFilter,
    /// The provider paused a long turn: send it back to continue.
    Pause,
    /// The call was cancelled.
    Cancelled,
    /// Something else; see the provider's own word.
    #[serde(other)]
    Other,
}

impl FinishReason {
    /// The reason's word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::BudgetExhausted => "budget_exhausted",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Pause => "pause",
            Self::Cancelled => "cancelled",
            Self::Other => "other",
        }
    }
}

/// Something that was not honoured as asked, with the field it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable code: `max_output_clamped`, `unsupported_option` ...
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The field of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

/// What Tollgate charged for a call and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Tollgate's id of the request: the id of its usage row.
    pub request_id: String,
    /// The upstream's own id, where it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
    /// The exact cost; absent when the model has no price.
    #[serde(rename = "cost_nano_usd", default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<NanoUsd>,
    /// Every budget that the call was charged to, after the charge.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::readable"
    )]
    pub budgets: Vec<BudgetStatus>,
    /// What limited the call besides budgets; absent when nothing did, and from older servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<CallLimits>,
}

/// What limited a call: how its caller stood to the rates when it was admitted, and the output limit
/// that budgets imposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallLimits {
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<RateLimit>,
    /// Tokens a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<RateLimit>,
    /// The most output tokens that the budgets could pay for, where that was less than was asked
    /// for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
}

impl CallLimits {
    /// Whether nothing limited the call.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How a caller stands to one rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// The most at once.
    pub limit: u64,
    /// What is left of it now.
    pub remaining: u64,
    /// Until all of it is there again, milliseconds.
    pub reset_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_word_that_it_is_written_as() {
        use FinishReason as Why;
        for why in [
            Why::Stop,
            Why::Length,
            Why::BudgetExhausted,
            Why::ToolCalls,
            Why::ContentFilter,
            Why::Pause,
            Why::Cancelled,
            Why::Other,
        ] {
            assert_eq!(serde_json::to_value(why).unwrap(), why.as_str());
        }
    }
}
