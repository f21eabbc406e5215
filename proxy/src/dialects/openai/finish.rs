//! Why the model stopped, in OpenAI's words and those of the hosts compatible with it.

use tollgate_types::{Finish, FinishReason};

/// Reads a finish reason. A forced function ends with `stop` although calls wait, so the calls decide.
pub(super) fn decode(raw: Option<&str>, wants_tools: bool) -> Finish {
    let reason = match raw {
        Some("stop" | "eos" | "end_turn") if wants_tools => FinishReason::ToolCalls,
        Some("stop" | "eos" | "end_turn") => FinishReason::Stop,
        Some("length" | "model_length" | "max_tokens") => FinishReason::Length,
        Some("tool_calls" | "function_call") => FinishReason::ToolCalls,
        Some("content_filter") => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    };
    Finish { reason, raw: raw.map(str::to_owned) }
}

/// The word that OpenAI's clients know.
pub(super) fn encode(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length | FinishReason::BudgetExhausted => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        _ => "stop",
    }
}
