//! Errors inside an answer that began well.

use serde_json::{Map, Value, json};
use tollgate_types::Error;

use crate::dialects::upstream_error::error_within;

/// Takes an error out of a good answer or a stream's chunk: beside the choices, in a choice, in
/// Groq's `x_groq`, or the whole object when it has no choices.
pub(super) fn error_in_answer(chunk: &mut Map<String, Value>, provider: &str) -> Option<Error> {
    let in_choice = chunk.get("choices").and_then(Value::as_array).into_iter().flatten();
    let in_choice = in_choice.filter_map(|choice| choice.get("error")).find(|e| e.is_object());
    let in_groq = chunk.get("x_groq").and_then(|groq| groq.get("error"));
    let beside = chunk.get("error").filter(|error| !error.is_null());
    match beside.or(in_choice).or(in_groq) {
        Some(text @ Value::String(_)) if chunk.contains_key("choices") => {
            error_within(text, provider)
        }
        Some(Value::String(_)) => error_within(&Value::Object(chunk.clone()), provider),
        Some(error) => error_within(&json!({"error": error}), provider),
        None if chunk.contains_key("choices") || chunk.contains_key("usage") => None,
        None => error_within(&Value::Object(chunk.clone()), provider),
    }
}
