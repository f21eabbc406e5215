//! Events of the native API out of JSON, whatever transport brought them.

use serde_json::Value;
use tollgate_types::StreamEvent;

/// The API of a [`StreamEvent::Raw`] that a newer server sent.
pub(crate) const NATIVE_API: &str = "tollgate";

/// The event types this client knows; any other one is a newer server's.
const KNOWN_TYPES: [&str; 8] =
    ["start", "part_start", "part_delta", "part_end", "usage", "raw", "finish", "error"];

/// Reads one event.
///
/// # Errors
/// When it is none of this version, and none of a newer one either.
pub(crate) fn decode(json: &[u8]) -> serde_json::Result<StreamEvent> {
    serde_json::from_slice(json).or_else(|error| match serde_json::from_slice::<Value>(json) {
        Ok(value) if is_newer(&value) => Ok(StreamEvent::Raw { api: NATIVE_API.to_owned(), value }),
        _ => Err(error),
    })
}

fn is_newer(event: &Value) -> bool {
    let name = event.get("type").and_then(Value::as_str);
    name.is_some_and(|name| !KNOWN_TYPES.contains(&name))
}
