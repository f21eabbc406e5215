//! Requests that only count the tokens of a prompt, and their answers.

use serde_json::{Value, json};
use tollgate_types::{Error, ErrorKind, GenerateRequest, Original, Result};

use super::{
    decode_request,
    encode_request::{Encoded, MessagesTarget, check, encode_messages_call},
};
use crate::dialects::{fields::Fields, patch::Patch};

/// What a request for a count may hold (API reference, "Count tokens in a message").
const COUNTED: [&str; 10] = [
    "model",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
    "context_management",
    "mcp_servers",
];

/// Reads a request for a count.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub fn decode_count(body: &[u8]) -> Result<GenerateRequest> {
    decode_request::decode(Fields::parse(body)?)
}

/// Writes a request for a count.
///
/// # Errors
/// As [`encode_messages_call`].
pub fn encode_count(request: &GenerateRequest, model: &str) -> Result<Encoded> {
    let target = MessagesTarget { model, default_max_output: None, stream: false };
    let mut encoded = encode_messages_call(request, target)?;
    if let Value::Object(body) = &mut encoded.body {
        body.retain(|key, _| COUNTED.contains(&key.as_str()));
    }
    Ok(encoded)
}

/// A client's own body with the model's name changed.
///
/// # Errors
/// As [`encode_messages_call`], for what the proxy has to control.
pub fn patch_count(original: &Original, request: &GenerateRequest) -> Result<Vec<u8>> {
    check(request)?;
    let mut patch = Patch::of(&original.body)?;
    patch.set("model", &request.model.as_str().into());
    Ok(patch.finish())
}

/// Reads a count.
///
/// # Errors
/// `protocol` when there is none.
pub fn decode_count_reply(body: &[u8], provider: &str) -> Result<u64> {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    let count = answer.as_ref().and_then(|answer| answer.get("input_tokens")?.as_u64());
    count.ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "the provider's answer is no count of tokens")
            .with(|body| body.provider = Some(provider.to_owned()))
    })
}

/// Writes a count.
pub fn encode_count_reply(input_tokens: u64) -> Value {
    json!({"input_tokens": input_tokens})
}
