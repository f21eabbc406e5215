//! Messages of a chat completions request, read.

use serde_json::Value;
use tollgate_types::{
    Error, ErrorKind, Message, NativeItem, Part, Reasoning, Refusal, Result, Role, Text, ToolResult,
};

use super::{CHAT_API, NAMESPACE, media, tools};
use crate::dialects::fields::{Fields, numbered, wrong_type};

/// Reads `messages`.
pub(super) fn decode_messages(fields: &mut Fields) -> Result<Vec<Message>> {
    let messages = fields.list("messages")?.ok_or_else(|| fields.missing("messages"))?;
    if messages.is_empty() {
        return Err(Error::invalid("messages", "messages must hold at least one message"));
    }
    messages.into_iter().map(|(path, message)| decode_message(Fields::of(path, message)?)).collect()
}

fn decode_message(mut fields: Fields) -> Result<Message> {
    let role = fields.required_string("role")?;
    let (role, content) = match role.as_str() {
        "system" => (Role::System, content(&mut fields)?),
        "developer" => (Role::Developer, content(&mut fields)?),
        "user" => (Role::User, content(&mut fields)?),
        "assistant" => (Role::Assistant, assistant(&mut fields)?),
        "tool" => (Role::Tool, vec![tool_result(&mut fields)?]),
        "function" => {
            return Err(legacy(&fields, "role", "messages of role function", "role tool"));
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
    message.extras = fields.into_extras(NAMESPACE);
    Ok(message)
}

/// The refusal of what OpenAI has replaced by tools.
fn legacy(fields: &Fields, key: &str, what: &str, instead: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} are not supported, use {instead}"))
        .with(|body| body.param = Some(fields.path_of(key)))
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

fn part((path, value): (String, Value)) -> Result<Part> {
    let mut fields = Fields::of(path, value.clone())?;
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
        "image_url" => media::decode_image(fields.required_object("image_url")?),
        "input_audio" => media::decode_audio(fields.required_object("input_audio")?),
        "file" => media::decode_file(fields.required_object("file")?),
        _ => Ok(Part::Native(NativeItem { api: CHAT_API.to_owned(), item: value })),
    }
}

/// An assistant turn: what it thought, said, refused and called, in that order.
fn assistant(fields: &mut Fields) -> Result<Vec<Part>> {
    if fields.take("function_call").is_some() {
        return Err(legacy(fields, "function_call", "function calls", "tool_calls"));
    }
    let mut content = Vec::new();
    // DeepSeek and vLLM call it reasoning_content, OpenRouter and Groq reasoning.
    for key in ["reasoning_content", "reasoning"] {
        if let Some(text) = fields.string(key)? {
            content.push(Part::Reasoning(Reasoning { text, ..Reasoning::default() }));
        }
    }
    content.dedup();
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
    if content.is_empty() && !fields.has("audio") {
        let place = fields.path_of("content");
        return Err(Error::invalid(
            place.clone(),
            format!("{place} is required without tool_calls"),
        ));
    }
    Ok(content)
}

fn tool_result(fields: &mut Fields) -> Result<Part> {
    Ok(Part::ToolResult(ToolResult {
        call_id: fields.required_string("tool_call_id")?,
        content: content(fields)?,
        ..ToolResult::default()
    }))
}
