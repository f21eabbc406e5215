//! A whole answer, read and written: one line with everything.

use serde_json::Value;
use tollgate_types::{Error, ErrorKind, Fold, GenerateResponse, Result};

use super::{Api, StreamDecoder, StreamEncoder, said::Said};
use crate::dialects::stream::{Decoder, ReplyHead};

/// Reads an upstream's whole answer; a stream that came where none was asked for is read too.
///
/// # Errors
/// `protocol` when it is no answer; the provider's error when the body carries one;
/// `stream_interrupted` when it is not whole.
pub fn decode_reply(body: &[u8], provider: &str, api: Api) -> Result<GenerateResponse> {
    let mut decoder = StreamDecoder::new(provider, api);
    let mut fold = Fold::new();
    for (n, line) in serde_json::Deserializer::from_slice(body).into_iter::<Value>().enumerate() {
        if decoder.is_done() {
            break;
        }
        match line {
            Ok(Value::Object(line)) => {
                for event in decoder.take(line)? {
                    fold.push(event)?;
                }
            }
            // What follows a line is either another one or cut off.
            Err(_) if n > 0 => break,
            _ => return Err(decoder.protocol("the provider's answer is not a JSON object")),
        }
    }
    if body.trim_ascii().is_empty() {
        return Err(Error::new(ErrorKind::Protocol, "the provider's answer is empty")
            .with(|body| body.provider = Some(provider.to_owned())));
    }
    for event in decoder.end()? {
        fold.push(event)?;
    }
    fold.finish()
}

/// Writes a whole answer.
pub fn encode_reply(response: &GenerateResponse, head: &ReplyHead, api: Api) -> Value {
    let mut said = Said::default();
    for part in &response.content {
        said.add(part);
    }
    let encoder = StreamEncoder::new(head.clone(), api).made_by(&response.origin.api);
    encoder.end(said, &response.finish, &response.usage, &response.extras)
}
