//! Why the model stopped, in Ollama's words.

use tollgate_types::{Finish, FinishReason};

/// Reads `done_reason`, which old versions leave out. It says `stop` although calls wait, so the
/// calls decide.
pub(super) fn decode(raw: Option<String>, wants_tools: bool) -> Finish {
    let reason = match raw.as_deref() {
        None | Some("stop") if wants_tools => FinishReason::ToolCalls,
        None | Some("stop") => FinishReason::Stop,
        Some("length") => FinishReason::Length,
        Some("tool_calls") => FinishReason::ToolCalls,
        Some(_) => FinishReason::Other,
    };
    Finish { reason, raw }
}

/// The word that Ollama's clients know; its own for what only Ollama says (`load`, `unload`).
pub(super) fn encode(finish: &Finish, made_by_ollama: bool) -> &str {
    match (finish.reason, &finish.raw) {
        (FinishReason::Length | FinishReason::BudgetExhausted, _) => "length",
        (FinishReason::Other, Some(raw)) if made_by_ollama => raw,
        _ => "stop",
    }
}
