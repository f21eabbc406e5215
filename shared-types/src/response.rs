//! What a model answered.

use crate::{BudgetStatus, Extras, Message, NanoUsd, Origin, Part, Role, ToolCall, Usage};
use serde::{Deserialize, Serialize};

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerateResponse {
    /// The answer's parts, in the provider's order.
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetStatus>,
}
