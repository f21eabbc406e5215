//! Embeddings: requests and answers, read and written.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use tollgate_types::{EmbedRequest, EmbedResponse, Error, ErrorKind, Result};

use super::{NAMESPACE, decode_error::error_in_answer, usage};
use crate::dialects::{
    fields::{Fields, wrong_type},
    merge::{merge, object},
    reserved::reserved_in,
};

/// Fields that extras may not set: they would get past permissions, prices and limits. vLLM takes
/// `messages` instead of texts.
const RESERVED: [&str; 3] = ["model", "input", "messages"];

/// How vectors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// A list of numbers.
    #[default]
    Float,
    /// Base64 of little-endian 32-bit floats: what OpenAI's SDKs ask for unasked.
    Base64,
}

/// A request and how its answer shall be written.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedCall {
    /// What is asked.
    pub request: EmbedRequest,
    /// How the vectors shall be written.
    pub encoding: Encoding,
}

/// Reads an embeddings request.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong; `unsupported` for lists of tokens.
pub fn decode_embed(body: &[u8]) -> Result<EmbedCall> {
    let mut fields = Fields::parse(body)?;
    let model = fields.required_string("model")?;
    let input = match fields.take("input") {
        None => return Err(fields.missing("input")),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(items)) if items.is_empty() => {
            return Err(Error::invalid("input", "input must not be an empty list"));
        }
        Some(Value::Array(items)) => items.into_iter().map(text).collect::<Result<_>>()?,
        Some(other) => return Err(wrong_type("input", "a string or a list of strings", &other)),
    };
    let encoding = match fields.string("encoding_format")?.as_deref() {
        None | Some("float") => Encoding::Float,
        Some("base64") => Encoding::Base64,
        Some(other) => {
            let message = format!("encoding_format must be float or base64, not {other:?}");
            return Err(Error::invalid("encoding_format", message));
        }
    };
    let mut request = EmbedRequest::new(model, input);
    request.dimensions = fields.u32("dimensions")?;
    request.extras = fields.into_extras(NAMESPACE);
    Ok(EmbedCall { request, encoding })
}

fn text(item: Value) -> Result<String> {
    match item {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Array(_) => {
            let message = "lists of tokens are not supported, send the texts";
            Err(Error::new(ErrorKind::Unsupported, message)
                .with(|body| body.param = Some("input".to_owned())))
        }
        other => Err(wrong_type("input", "a string or a list of strings", &other)),
    }
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
        if let Some(key) = reserved_in(extras, &RESERVED) {
            let message = format!("{key} cannot be set through extras");
            return Err(Error::invalid(format!("extras.{NAMESPACE}.{key}"), message));
        }
        merge(&mut body, extras);
    }
    Ok(Value::Object(body))
}

/// Reads an upstream's answer; vectors are put in the order of the texts.
///
/// # Errors
/// `protocol` when it is no list of vectors; the provider's error when the body carries one.
pub fn decode_embed_reply(body: &[u8], provider: &str) -> Result<EmbedResponse> {
    let protocol = || {
        Error::new(ErrorKind::Protocol, "the provider's answer is no list of vectors")
            .with(|body| body.provider = Some(provider.to_owned()))
    };
    let Ok(Value::Object(mut answer)) = serde_json::from_slice(body) else {
        return Err(protocol());
    };
    let Some(Value::Array(items)) = answer.shift_remove("data") else {
        return Err(error_in_answer(&mut answer, provider).unwrap_or_else(protocol));
    };
    let mut vectors: Vec<(u64, Vec<f32>)> =
        items.iter().map(numbered_vector).collect::<Option<_>>().ok_or_else(protocol)?;
    vectors.sort_by_key(|(index, _)| *index);
    Ok(EmbedResponse {
        vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
        usage: answer.get("usage").and_then(usage::decode).unwrap_or_default().0,
        model: answer.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
        receipt: None,
    })
}

fn numbered_vector(item: &Value) -> Option<(u64, Vec<f32>)> {
    let index = item.get("index").and_then(Value::as_u64).unwrap_or_default();
    let vector = match item.get("embedding")? {
        Value::String(encoded) => from_base64(encoded)?,
        Value::Array(numbers) => numbers.iter().map(number).collect::<Option<_>>()?,
        _ => return None,
    };
    Some((index, vector))
}

#[expect(clippy::cast_possible_truncation, reason = "vectors are 32-bit floats on every wire")]
fn number(value: &Value) -> Option<f32> {
    value.as_f64().map(|number| number as f32)
}

fn from_base64(encoded: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(encoded).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

/// Writes an answer.
pub fn encode_embed_reply(response: &EmbedResponse, encoding: Encoding, model: &str) -> Value {
    let item = |(index, vector): (usize, &Vec<f32>)| {
        let embedding = match encoding {
            Encoding::Float => json!(vector),
            Encoding::Base64 => {
                let bytes: Vec<u8> =
                    vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                STANDARD.encode(bytes).into()
            }
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let vectors: Vec<Value> = response.vectors.iter().enumerate().map(item).collect();
    let used = response.usage.total_input();
    let written: Map<String, Value> = object([
        ("object", Some("list".into())),
        ("data", Some(vectors.into())),
        ("model", Some(model.into())),
        ("usage", Some(json!({"prompt_tokens": used, "total_tokens": used}))),
    ]);
    Value::Object(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_alone_or_in_a_list_and_tokens_are_refused() {
        let call = |body: &str| decode_embed(body.as_bytes());
        assert_eq!(call(r#"{"model":"m","input":"a"}"#).unwrap().request.input, ["a"]);
        let full = r#"{"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":2,"user":"u"}"#;
        let full = call(full).unwrap();
        assert_eq!((full.encoding, full.request.dimensions), (Encoding::Base64, Some(2)));
        let sent = encode_embed(&full.request, "bare").unwrap();
        assert_eq!(
            sent,
            json!({"model": "bare", "input": ["a", "b"], "dimensions": 2, "user": "u"})
        );
        let tokens = call(r#"{"model":"m","input":[[1,2]]}"#).unwrap_err();
        assert_eq!(tokens.kind(), ErrorKind::Unsupported);
        assert_eq!(call(r#"{"model":"m"}"#).unwrap_err().body().param.as_deref(), Some("input"));
    }

    #[test]
    fn vectors_survive_both_encodings_and_come_in_order() {
        let response = EmbedResponse {
            vectors: vec![vec![0.5, -1.25], vec![0.1, 3.0]],
            usage: tollgate_types::Usage::tokens(4, 0),
            model: "m".into(),
            receipt: None,
        };
        for encoding in [Encoding::Float, Encoding::Base64] {
            let mut written = encode_embed_reply(&response, encoding, "m");
            written["data"].as_array_mut().unwrap().reverse();
            let read = decode_embed_reply(written.to_string().as_bytes(), "p").unwrap();
            assert_eq!(read, response);
        }
    }

    #[test]
    fn an_answer_that_is_no_list_of_vectors_is_an_error() {
        let kind = |body: &str| decode_embed_reply(body.as_bytes(), "p").unwrap_err().kind();
        assert_eq!(kind("<html>"), ErrorKind::Protocol);
        assert_eq!(kind(r#"{"data":[{"embedding":"AAA="}]}"#), ErrorKind::Protocol);
        assert_eq!(
            kind(r#"{"error":{"code":"model_not_found","message":"no"}}"#),
            ErrorKind::NotFound
        );
    }
}
