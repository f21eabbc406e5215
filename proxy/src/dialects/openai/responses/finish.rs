//! Why the model stopped: the status of an answer and the reason why it is incomplete.

use serde_json::{Map, Value, json};
use tollgate_types::{Finish, FinishReason};

/// Reads an answer's status. Calls that wait make a completed answer a call for tools; the word
/// stays.
pub(super) fn decode(status: &str, details: Option<&Value>, wants_tools: bool) -> Finish {
    let why = details.and_then(|details| details.get("reason")).and_then(Value::as_str);
    let reason = match (status, why) {
        ("completed", _) if wants_tools => FinishReason::ToolCalls,
        ("completed", _) => FinishReason::Stop,
        ("incomplete", Some("max_output_tokens")) => FinishReason::Length,
        ("incomplete", Some("content_filter")) => FinishReason::ContentFilter,
        ("cancelled", _) => FinishReason::Cancelled,
        // A background answer has only been taken on.
        ("queued" | "in_progress", _) => FinishReason::Pause,
        _ => FinishReason::Other,
    };
    let raw = why.filter(|_| status == "incomplete").unwrap_or(status);
    Finish { reason, raw: Some(raw.to_owned()) }
}

/// The status of an answer, and why it is incomplete.
pub(super) fn encode(finish: &Finish, own: bool) -> (&'static str, Value) {
    let raw = finish.raw.as_deref().filter(|_| own);
    let incomplete = |why: &str| ("incomplete", json!({"reason": why}));
    match finish.reason {
        FinishReason::Length | FinishReason::BudgetExhausted => incomplete("max_output_tokens"),
        FinishReason::ContentFilter => incomplete("content_filter"),
        FinishReason::Pause if raw == Some("queued") => ("queued", Value::Null),
        FinishReason::Pause if raw == Some("in_progress") => ("in_progress", Value::Null),
        FinishReason::Cancelled => ("cancelled", Value::Null),
        FinishReason::Other => raw.map_or(("completed", Value::Null), incomplete),
        _ => ("completed", Value::Null),
    }
}

/// The name of the event that ends a stream with a status.
pub(super) fn event(status: &str) -> &'static str {
    match status {
        "completed" => "response.completed",
        "failed" => "response.failed",
        "queued" => "response.queued",
        "in_progress" => "response.in_progress",
        _ => "response.incomplete",
    }
}

/// The kinds of items that wait for the client although they look as if the provider ran them.
pub(super) fn waits_for_client(item: &Map<String, Value>) -> bool {
    match item.get("type").and_then(Value::as_str) {
        Some("computer_call" | "local_shell_call" | "shell_call" | "apply_patch_call") => true,
        Some("mcp_approval_request") => true,
        Some("tool_search_call") => item.get("execution").is_some_and(|who| who == "client"),
        _ => false,
    }
}
