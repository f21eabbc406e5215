//! A whole message, read and written.

use serde_json::{Map, Value};
use tollgate_types::{Error, ErrorKind, Fold, GenerateResponse, Part, Result};

use super::{API, NAMESPACE, StreamDecoder, blocks, citation, finish, tools, usage};
use crate::dialects::{
    call_id::IdRule,
    merge::{merge, object},
    stream::ReplyHead,
    upstream_error::error_within,
};

/// Reads an upstream's whole answer.
///
/// # Errors
/// `protocol` when it is no message; the provider's error when the body carries one.
pub fn decode_reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
    let mut decoder = StreamDecoder::new(provider);
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else {
        return Err(decoder.protocol("the provider's answer is not a JSON object"));
    };
    if !answer.contains_key("content") {
        let error = error_within(&Value::Object(answer), provider);
        let nothing = || Error::new(ErrorKind::Protocol, "the provider's answer is no message");
        return Err(error.unwrap_or_else(nothing));
    }
    let mut fold = Fold::new();
    for event in decoder.take_whole(answer)? {
        fold.push(event)?;
    }
    fold.finish()
}

/// Writes a whole answer.
pub fn encode_reply(response: &GenerateResponse, head: &ReplyHead) -> Value {
    let mut own = response.extras.get(NAMESPACE).cloned().unwrap_or_default();
    let usage_rest = take_usage_rest(&mut own);
    let signed = response.origin.api == API;
    let content = response.content.iter().filter_map(|part| encode_part(part, signed));
    let content: Vec<Value> = content.collect();
    let refused = response.content.iter().any(|part| matches!(part, Part::Refusal(_)));
    let mut body = object([
        ("id", Some(head.id.as_str().into())),
        ("type", Some("message".into())),
        ("role", Some("assistant".into())),
        ("model", Some(head.model.as_str().into())),
        ("content", Some(content.into())),
        ("stop_reason", Some(finish::encode(&response.finish, refused).into())),
        ("stop_sequence", Some(Value::Null)),
        ("usage", Some(usage::encode(&response.usage, Some(&usage_rest)))),
    ]);
    merge(&mut body, &own);
    Value::Object(body)
}

/// The provider's further usage fields, out of the facts of an answer.
pub(super) fn take_usage_rest(own: &mut Map<String, Value>) -> Map<String, Value> {
    match own.shift_remove("usage") {
        Some(Value::Object(rest)) => rest,
        _ => Map::new(),
    }
}

/// A part as a block; `None` where the format has no place for it. Signatures of other APIs mean
/// nothing to Anthropic, and calls that their providers ran are not the caller's to answer.
pub(super) fn encode_part(part: &Part, signed: bool) -> Option<Value> {
    let block = match part {
        Part::Text(text) => {
            let mut block = blocks::encode_text(text);
            if !text.citations.is_empty() {
                let citations: Vec<Value> = text.citations.iter().map(citation::encode).collect();
                block.insert("citations".to_owned(), citations.into());
            }
            block
        }
        Part::Refusal(refusal) => {
            object([("type", Some("text".into())), ("text", Some(refusal.text.as_str().into()))])
        }
        Part::Reasoning(reasoning)
            if signed && (reasoning.signature.is_some() || reasoning.encrypted.is_some()) =>
        {
            blocks::encode_reasoning(reasoning)?
        }
        Part::Reasoning(reasoning) if reasoning.text.is_empty() => return None,
        Part::Reasoning(reasoning) => object([
            ("type", Some("thinking".into())),
            ("thinking", Some(reasoning.text.as_str().into())),
            ("signature", Some("".into())),
        ]),
        Part::ToolCall(call) if !call.hosted || blocks::is_own_hosted(call) => {
            blocks::encode_call(call, IdRule::Any, input_of(&call.arguments))
        }
        Part::Media(media) => return blocks::encode_media(media),
        Part::Native(native) if native.api == API => return Some(native.item.clone()),
        Part::ToolCall(_) | Part::ToolResult(_) | Part::Native(_) => return None,
    };
    Some(Value::Object(block))
}

/// The arguments of a call as the object that a block holds; text that is none goes under a name of
/// its own, so that the caller sees what the model wrote.
fn input_of(arguments: &str) -> Value {
    tools::input_of("input", arguments)
        .unwrap_or_else(|_| Value::Object(object([("input", Some(arguments.into()))])))
}
