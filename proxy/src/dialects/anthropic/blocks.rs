//! Content blocks: the same in requests and in answers.

use serde_json::{Map, Value, json};
use tollgate_types::{Media, NativeItem, Part, Reasoning, Result, Text, ToolCall, ToolResult};

use super::{API, NAMESPACE, citation, media};
use crate::dialects::{
    call_id::{self, IdRule},
    fields::{Fields, numbered, wrong_type},
    merge::{merge, object},
};

/// The namespaced field that says which kind of call a hosted one is.
pub(super) const KIND: &str = "type";

/// Reads content that is a text or a list of blocks.
pub(super) fn decode_content(path: &str, content: Value) -> Result<Vec<Part>> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(blocks) => numbered(path, blocks).into_iter().map(decode).collect(),
        other => Err(wrong_type(path, "a string or a list of blocks", &other)),
    }
}

/// Reads one block. A kind without common meaning is a native item.
pub(super) fn decode((path, block): (String, Value)) -> Result<Part> {
    let native = |item| Part::Native(NativeItem { api: API.to_owned(), item });
    let mut fields = Fields::of(path, block.clone())?;
    let kind = fields.required_string(KIND)?;
    Ok(match kind.as_str() {
        "text" => Part::Text(text(fields)?),
        "thinking" => Part::Reasoning(Reasoning {
            text: fields.string("thinking")?.unwrap_or_default(),
            signature: fields.string("signature")?.filter(|signature| !signature.is_empty()),
            encrypted: None,
            extras: fields.into_extras(NAMESPACE),
        }),
        "redacted_thinking" => Part::Reasoning(Reasoning {
            text: String::new(),
            signature: None,
            encrypted: Some(fields.required_string("data")?),
            extras: fields.into_extras(NAMESPACE),
        }),
        "tool_use" | "server_tool_use" | "mcp_tool_use" => Part::ToolCall(call(&kind, fields)?),
        "tool_result" => Part::ToolResult(result(fields)?),
        "image" | "document" => {
            media::decode(&kind, fields)?.map_or_else(|| native(block), Part::Media)
        }
        _ => native(block),
    })
}

fn text(mut fields: Fields) -> Result<Text> {
    let text = fields.required_string("text")?;
    let citations = fields.list("citations")?.unwrap_or_default();
    let citations: Vec<Value> = citations.into_iter().map(|(_, citation)| citation).collect();
    let citations = citation::decode(&citations, text.len());
    Ok(Text { text, citations, logprobs: Vec::new(), extras: fields.into_extras(NAMESPACE) })
}

/// A call; one that the provider runs remembers which kind it is.
fn call(kind: &str, mut fields: Fields) -> Result<ToolCall> {
    let id = fields.required_string("id")?;
    let name = fields.required_string("name")?;
    let input = fields.take("input").unwrap_or_else(|| json!({}));
    let hosted = kind != "tool_use";
    if hosted {
        fields.put_back(KIND, kind.into());
    }
    let extras = fields.into_extras(NAMESPACE);
    Ok(ToolCall { id, name, arguments: input.to_string(), hosted, extras })
}

fn result(mut fields: Fields) -> Result<ToolResult> {
    let call_id = fields.required_string("tool_use_id")?;
    let is_error = fields.bool("is_error")?.unwrap_or_default();
    let path = fields.path_of("content");
    let content = match fields.take("content") {
        None => Vec::new(),
        Some(content) => decode_content(&path, content)?,
    };
    Ok(ToolResult { call_id, name: None, content, is_error, extras: fields.into_extras(NAMESPACE) })
}

/// Writes a text; citations only where Anthropic made them.
pub(super) fn encode_text(text: &Text) -> Map<String, Value> {
    let citations: Vec<Value> = text.citations.iter().filter_map(citation::own).collect();
    let mut block = object([
        (KIND, Some("text".into())),
        ("text", Some(text.text.as_str().into())),
        ("citations", Some(citations).filter(|list| !list.is_empty()).map(Value::from)),
    ]);
    add_extras(&mut block, text.extras.get(NAMESPACE));
    block
}

/// Writes reasoning that Anthropic made and wants back unchanged; `None` for what it would refuse.
pub(super) fn encode_reasoning(reasoning: &Reasoning) -> Option<Map<String, Value>> {
    let mut block = match (&reasoning.signature, &reasoning.encrypted) {
        (Some(signature), _) => object([
            (KIND, Some("thinking".into())),
            ("thinking", Some(reasoning.text.as_str().into())),
            ("signature", Some(signature.as_str().into())),
        ]),
        (None, Some(data)) => {
            object([(KIND, Some("redacted_thinking".into())), ("data", Some(data.as_str().into()))])
        }
        (None, None) => return None,
    };
    add_extras(&mut block, reasoning.extras.get(NAMESPACE));
    Some(block)
}

/// Writes a call with its input. Clients take any id, the API does not.
pub(super) fn encode_call(call: &ToolCall, ids: IdRule, input: Value) -> Map<String, Value> {
    let mut block = object([
        (KIND, Some("tool_use".into())),
        ("id", Some(call_id::fit(&call.id, ids).into())),
        ("name", Some(call.name.as_str().into())),
        ("input", Some(input)),
    ]);
    // A hosted call's extras hold the kind that it has.
    add_extras(&mut block, call.extras.get(NAMESPACE));
    block
}

/// Whether Anthropic ran the call and can be shown it again.
pub(super) fn is_own_hosted(call: &ToolCall) -> bool {
    call.hosted && call.extras.get(NAMESPACE).is_some_and(|own| own.contains_key(KIND))
}

/// Writes media; `None` when the format has no place for it.
pub(super) fn encode_media(media: &Media) -> Option<Value> {
    media::encode(media)
}

pub(super) fn add_extras(block: &mut Map<String, Value>, extras: Option<&Map<String, Value>>) {
    if let Some(extras) = extras {
        merge(block, extras);
    }
}
