//! Errors in Ollama's shape: a text, and nothing else.

use serde_json::{Value, json};
use tollgate_types::Error;

/// Writes `{"error": "..."}`, which is an unsuccessful answer's body and a broken stream's last line.
pub fn encode_error(error: &Error) -> Value {
    json!({"error": error.message()})
}
