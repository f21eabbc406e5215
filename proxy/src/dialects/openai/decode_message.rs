//! Messages of a chat completions request, read.

use serde_json::Value;
use tollgate_types::{
    Error, Extras, Message, NativeItem, Origin, Part, Refusal, Result, Role, Text, ToolResult,
};

use super::{CHAT_API, NAMESPACE, details, legacy, media, reasoning, tools};
use crate::dialects::fields::{Fields, numbered, wrong_type};

/// Reads `messages`.
pub(super) fn decode_messages(fields: &mut Fields) -> Result<Vec<Message>> {
    let messages = fields.list("messages")?.ok_or_else(|| fields.missing("messages"))?;
    if messages.is_empty() {
        return Err(Error::invalid("messages", "messages must hold at least one message"));
    }
    let mut read = Vec::with_capacity(messages.len());
    let mut calls = legacy::Calls::default();
    for (path, message) in messages {
        let message = decode_message(Fields::of(path, message)?, read.len(), &calls)?;
        calls.note(&message);
        read.push(message);
    }
    Ok(read)
}

fn decode_message(mut fields: Fields, place: usize, calls: &legacy::Calls) -> Result<Message> {
    let role = fields.required_string("role")?;
    let mut origin = None;
    let (role, content) = match role.as_str() {
        "system" => (Role::System, content(&mut fields)?),
        "developer" => (Role::Developer, content(&mut fields)?),
        "user" => (Role::User, content(&mut fields)?),
        "assistant" => (Role::Assistant, assistant(&mut fields, place, &mut origin)?),
        "tool" => (Role::Tool, vec![tool_result(&mut fields)?]),
        "function" => {
            let content = content(&mut fields)?;
            (Role::Tool, vec![legacy::decode_result(&mut fields, content, calls)?])
        }
        other => {
            let path = fields.path_of("role");
            let known = "system, developer, user, assistant or tool";
            return Err(Error::invalid(
                path.clone(),
                format!("{path} must be {known}, not {other:?}"),
            ));
        }
    };
    let mut message = Message::new(role, content);
    message.name = fields.string("name")?;
    message.origin = origin.map(|api: &str| Origin { api: api.to_owned(), ..Origin::default() });
    message.extras = fields.into_extras(NAMESPACE);
    Ok(message)
}

fn content(fields: &mut Fields) -> Result<Vec<Part>> {
    let path = fields.path_of("content");
    let content = fields.take("content").ok_or_else(|| fields.missing("content"))?;
    parts(&path, content)
}

fn parts(path: &str, content: Value) -> Result<Vec<Part>> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(items) if items.is_empty() => {
            Err(Error::invalid(path, format!("{path} must not be an empty list")))
        }
        Value::Array(items) => numbered(path, items).into_iter().map(part).collect(),
        other => Err(wrong_type(path, "a string or a list of parts", &other)),
    }
}

/// Kinds of parts that mean the same everywhere.
const KINDS: [&str; 5] = ["text", "refusal", "image_url", "input_audio", "file"];

fn part((path, value): (String, Value)) -> Result<Part> {
    let is_known = |kind: &str| KINDS.contains(&kind);
    // What nobody models is kept as it came, whatever else it holds.
    let known = value.get("type").and_then(Value::as_str).is_some_and(is_known);
    let native = if known { Value::Null } else { value.clone() };
    let mut fields = Fields::of(path, value)?;
    let kind = fields.required_string("type")?;
    match kind.as_str() {
        "text" => {
            let text = fields.required_string("text")?;
            Ok(Part::Text(Text { text, extras: fields.into_extras(NAMESPACE), ..Text::default() }))
        }
        "refusal" => {
            let text = fields.required_string("refusal")?;
            Ok(Part::Refusal(Refusal { text, extras: fields.into_extras(NAMESPACE) }))
        }
        "image_url" => match fields.take("image_url") {
            Some(Value::String(url)) => Ok(Part::Media(media::image(&url, Extras::new()))),
            Some(image) => media::decode_image(Fields::of(fields.path_of("image_url"), image)?),
            None => Err(fields.missing("image_url")),
        },
        "input_audio" => media::decode_audio(fields.required_object("input_audio")?),
        "file" => media::decode_file(fields.required_object("file")?),
        _ => Ok(Part::Native(NativeItem { api: CHAT_API.to_owned(), item: native })),
    }
}

/// An assistant turn: what it thought, said, refused and called, in that order.
fn assistant(
    fields: &mut Fields,
    place: usize,
    origin: &mut Option<&'static str>,
) -> Result<Vec<Part>> {
    let mut content = thoughts(fields, origin)?;
    let path = fields.path_of("content");
    match fields.take("content") {
        None => {}
        Some(Value::Array(items)) if items.is_empty() => {}
        Some(said) => content.extend(parts(&path, said)?),
    }
    if let Some(text) = fields.string("refusal")? {
        content.push(Part::Refusal(Refusal { text, ..Refusal::default() }));
    }
    let path = fields.path_of("tool_calls");
    match fields.take("tool_calls") {
        None => {}
        Some(Value::Array(calls)) => {
            content.extend(tools::decode_calls(&path, calls)?.into_iter().map(Part::ToolCall));
        }
        Some(other) => return Err(wrong_type(&path, "a list", &other)),
    }
    content.extend(legacy::decode_call(fields, place)?);
    if content.is_empty() && !fields.has("audio") {
        let place = fields.path_of("content");
        return Err(Error::invalid(
            place.clone(),
            format!("{place} is required without tool_calls"),
        ));
    }
    Ok(content)
}

/// What the model thought. DeepSeek and vLLM call it `reasoning_content`, OpenRouter and Groq
/// `reasoning`; some clients send both.
fn thoughts(fields: &mut Fields, origin: &mut Option<&'static str>) -> Result<Vec<Part>> {
    let mut thoughts: Vec<(Vec<&'static str>, String)> = Vec::new();
    for key in reasoning::NAMES {
        let Some(text) = fields.string(key)? else { continue };
        match thoughts.iter_mut().find(|(_, same)| *same == text) {
            Some((names, _)) => names.push(key),
            None => thoughts.push((vec![key], text)),
        }
    }
    let details = fields.list(details::DETAILS)?.unwrap_or_default();
    let details: Vec<Value> = details.into_iter().map(|(_, detail)| detail).collect();
    if details.is_empty() {
        let named =
            |(names, text): (Vec<&str>, String)| Part::Reasoning(reasoning::named(text, &names));
        return Ok(thoughts.into_iter().map(named).collect());
    }
    let open = thoughts.first().map(|(_, text)| text.as_str()).unwrap_or_default();
    let (mut pieces, api) = details::decode(&details, open);
    *origin = api;
    for piece in &mut pieces {
        reasoning::name(piece, thoughts.first().map_or(&[][..], |(names, _)| names));
    }
    Ok(details::parts(pieces).collect())
}

fn tool_result(fields: &mut Fields) -> Result<Part> {
    Ok(Part::ToolResult(ToolResult {
        call_id: fields.required_string("tool_call_id")?,
        content: content(fields)?,
        ..ToolResult::default()
    }))
}
