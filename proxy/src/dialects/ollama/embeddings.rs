//! Vectors: `POST /api/embed`, and `POST /api/embeddings`, which older clients use.

use serde_json::{Map, Value, json};
use tollgate_types::{EmbedRequest, EmbedResponse, Error, ErrorKind, Result};

use super::{NAMESPACE, usage};
use crate::dialects::{
    fields::{Fields, wrong_type},
    merge::{merge, object},
    reserved::as_go_reads,
    upstream_error::error_within,
};

/// Reads a request for the vectors of one text or several.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub fn decode_embed(body: &[u8]) -> Result<EmbedRequest> {
    let mut fields = Fields::parse(body)?;
    let model = fields.required_string("model")?;
    let input = fields.take("input").ok_or_else(|| fields.missing("input"))?;
    let wrong = |other: &Value| wrong_type("input", "a string or a list of strings", other);
    let input = match input {
        Value::String(text) => vec![text],
        Value::Array(texts) => texts
            .into_iter()
            .map(|text| match text {
                Value::String(text) => Ok(text),
                other => Err(wrong(&other)),
            })
            .collect::<Result<_>>()?,
        other => return Err(wrong(&other)),
    };
    let mut request = EmbedRequest::new(model, input);
    request.dimensions = fields.u32("dimensions")?;
    request.extras = fields.into_extras(NAMESPACE);
    Ok(request)
}

/// Reads an older client's request for the vector of one text.
///
/// # Errors
/// As [`decode_embed`].
pub fn decode_embeddings(body: &[u8]) -> Result<EmbedRequest> {
    let mut fields = Fields::parse(body)?;
    let model = fields.required_string("model")?;
    let mut request = EmbedRequest::new(model, [fields.required_string("prompt")?]);
    request.extras = fields.into_extras(NAMESPACE);
    Ok(request)
}

/// Writes the upstream's body.
///
/// # Errors
/// `invalid_request` when extras set a field that the proxy has to control.
pub fn encode_embed(request: &EmbedRequest, model: &str) -> Result<Value> {
    let mut body = object([
        ("model", Some(model.into())),
        ("input", Some(json!(request.input))),
        ("dimensions", request.dimensions.map(Value::from)),
    ]);
    if let Some(extras) = request.extras.get(NAMESPACE) {
        let taken = |key: &&String| matches!(&*as_go_reads(key), "model" | "input");
        if let Some(key) = extras.keys().find(taken) {
            let message = format!("{key} cannot be set through extras");
            return Err(Error::invalid(format!("extras.{NAMESPACE}.{key}"), message));
        }
        merge(&mut body, extras);
    }
    Ok(Value::Object(body))
}

/// Reads an upstream's answer; the single vector of an older one is read too.
///
/// # Errors
/// `protocol` when it holds no vectors; the provider's error when it carries one.
pub fn decode_embed_reply(body: &[u8], provider: &str) -> Result<EmbedResponse> {
    let protocol = || {
        Error::new(ErrorKind::Protocol, "the provider's answer is no list of vectors")
            .with(|body| body.provider = Some(provider.to_owned()))
    };
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else {
        return Err(protocol());
    };
    let vectors = match (answer.shift_remove("embeddings"), answer.shift_remove("embedding")) {
        (Some(several), _) => several,
        (None, Some(one)) => json!([one]),
        (None, None) => {
            let told = error_within(&Value::Object(answer), provider);
            return Err(told.unwrap_or_else(protocol));
        }
    };
    Ok(EmbedResponse {
        vectors: serde_json::from_value(vectors).map_err(|_| protocol())?,
        usage: usage::take(&mut answer),
        model: answer.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
        receipt: None,
    })
}

/// Writes an answer.
pub fn encode_embed_reply(response: &EmbedResponse, model: &str) -> Value {
    let mut written: Map<String, Value> =
        object([("model", Some(model.into())), ("embeddings", Some(json!(response.vectors)))]);
    merge(&mut written, &usage::encode(&response.usage));
    Value::Object(written)
}

/// Writes an older client's answer.
pub fn encode_embeddings_reply(response: &EmbedResponse) -> Value {
    json!({"embedding": response.vectors.first().map_or(&[][..], Vec::as_slice)})
}
