//! Rust's clients of AI vendors, unmodified but for their base URL and key.
#![cfg(test)]

mod house;
mod async_openai;
mod genai;
mod rig;

use house::House;
use serde_json::{Value, json};

/// Calls the tool, and then says what the tool said.
const CALLS: &str = "mock-tool,fill,once";

/// A tool of a function's schema.
fn schema() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 41}},
        "required": ["a"], "additionalProperties": false})
}

/// The client that all of them send with. None of these tests leaves this machine, so there is
/// nobody whose certificate could be checked.
fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
