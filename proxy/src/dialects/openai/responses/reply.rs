//! A whole response, read and written: both go the way of the stream.

use serde_json::{Map, Value};
use tollgate_types::{Error, ErrorKind, Fold, GenerateResponse, Result, events_of};

use super::{Echo, ResponsesDecoder, ResponsesEncoder};
use crate::dialects::{
    stream::{Decoder, ReplyHead},
    upstream_error::error_within,
};

/// Reads an upstream's whole answer.
///
/// # Errors
/// `protocol` when it is no response; the provider's error when the body carries one.
pub fn decode_response(body: &[u8], provider: &str) -> Result<GenerateResponse> {
    let protocol = |message: &str| {
        Error::new(ErrorKind::Protocol, message)
            .with(|body| body.provider = Some(provider.to_owned()))
    };
    let Ok(Value::Object(answer)) = serde_json::from_slice::<Value>(body) else {
        return Err(protocol("the provider's answer is not a JSON object"));
    };
    if !answer.contains_key("output") && !answer.contains_key("status") {
        let error = error_within(&Value::Object(answer), provider);
        return Err(error.unwrap_or_else(|| protocol("the provider's answer is no response")));
    }
    let mut decoder = ResponsesDecoder::new(provider);
    let mut events = Vec::new();
    decoder.complete(answer, &mut events)?;
    let mut fold = Fold::new();
    for event in events {
        fold.push(event)?;
    }
    decoder.end()?;
    fold.finish()
}

/// Writes a whole answer.
pub fn encode_response(response: &GenerateResponse, head: &ReplyHead, echo: &Echo) -> Value {
    let mut encoder = ResponsesEncoder::new(head.clone(), echo.clone());
    let mut last = Value::Object(Map::new());
    for event in events_of(response.clone()) {
        if let Some(written) = encoder.push(&event).pop() {
            last = written;
        }
    }
    last.get_mut("response").map(Value::take).unwrap_or_default()
}
