//! Token counts: countTokens.

use serde_json::{Value, json};
use tollgate_types::{Error, ErrorKind, GenerateRequest, Result};

use super::{
    Platform, Target,
    decode_request::decode_fields,
    encode_generate,
    names::{object_at, object_in},
};
use crate::dialects::{fields::Fields, merge::object};

/// Reads a countTokens request for the model that its path names: bare contents, or a whole
/// generateContent request.
///
/// # Errors
/// As [`super::decode_generate`].
pub fn decode_count(body: &[u8], model: &str) -> Result<GenerateRequest> {
    let mut fields = object_at(String::new(), Fields::parse(body)?.rest().into())?;
    match object_in(&mut fields, "generateContentRequest")? {
        Some(request) => decode_fields(request, model),
        None => decode_fields(fields, model),
    }
}

/// Writes the upstream's body.
///
/// # Errors
/// As [`encode_generate`].
pub fn encode_count(request: &GenerateRequest, target: Target<'_>) -> Result<Value> {
    let (Value::Object(mut body), _) = encode_generate(request, target)? else {
        return Err(Error::new(ErrorKind::Internal, "the request cannot be written"));
    };
    if target.platform == Platform::Vertex {
        return Ok(Value::Object(body));
    }
    // The Gemini API counts nothing but contents unless the request is wrapped, and then wants the
    // model again.
    body.insert("model".to_owned(), format!("models/{}", target.model).into());
    Ok(Value::Object(object([("generateContentRequest", Some(Value::Object(body)))])))
}

/// Reads an upstream's answer.
///
/// # Errors
/// `protocol` when it holds no count.
pub fn decode_count_reply(body: &[u8], provider: &str) -> Result<u64> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    answer.get("totalTokens").and_then(crate::dialects::counts::count).ok_or_else(|| {
        Error::new(ErrorKind::Protocol, "the provider's answer holds no token count")
            .with(|body| body.provider = Some(provider.to_owned()))
    })
}

/// Writes an answer.
pub fn encode_count_reply(tokens: u64) -> Value {
    json!({"totalTokens": tokens})
}
