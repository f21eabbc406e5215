//! `contents` and `systemInstruction`, read.

use serde_json::Value;
use tollgate_types::{Error, Message, NativeItem, Part, Reasoning, Result, Role, Text, ToolCall};

use super::{
    API, NAMESPACE, extras_of, function,
    ids::Unanswered,
    media,
    names::{list_or_one, object_at, object_in},
    parts::IN_CALL,
};
use crate::dialects::fields::Fields;

/// Reads the conversation, what the operator says first.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub(super) fn decode_messages(fields: &mut Fields) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    let mut calls = Unanswered::default();
    if let Some(mut system) = object_in(fields, "systemInstruction")? {
        // Its role is read by nobody.
        system.take("role");
        let content = parts(&mut system, &mut calls)?;
        messages.push(message(Role::System, content, system));
    }
    let contents = list_or_one(fields, "contents")?.ok_or_else(|| fields.missing("contents"))?;
    if contents.is_empty() {
        return Err(Error::invalid("contents", "contents must hold at least one content"));
    }
    let mut before = Role::System;
    for (path, content) in contents {
        let turn = decode_content(object_at(path, content)?, before, &mut calls)?;
        before = turn.role;
        messages.push(turn);
    }
    Ok(messages)
}

fn decode_content(mut fields: Fields, before: Role, calls: &mut Unanswered) -> Result<Message> {
    let role = match fields.string("role")?.as_deref() {
        None | Some("" | "user" | "function") => Role::User,
        Some("model") => Role::Assistant,
        Some(other) => {
            let path = fields.path_of("role");
            let message = format!("{path} must be user or model, not {other:?}");
            return Err(Error::invalid(path, message));
        }
    };
    if role == Role::Assistant && before != Role::Assistant {
        calls.begin_turn();
    }
    let content = parts(&mut fields, calls)?;
    let answers = content.iter().any(|part| matches!(part, Part::ToolResult(_)));
    let role = if answers && role == Role::User { Role::Tool } else { role };
    Ok(message(role, content, fields))
}

fn message(role: Role, content: Vec<Part>, fields: Fields) -> Message {
    let mut message = Message::new(role, content);
    message.extras = fields.into_extras(NAMESPACE);
    message
}

fn parts(fields: &mut Fields, calls: &mut Unanswered) -> Result<Vec<Part>> {
    let parts = list_or_one(fields, "parts")?.unwrap_or_default();
    parts.into_iter().map(|(path, part)| decode_part(path, part, calls)).collect()
}

fn decode_part(path: String, value: Value, calls: &mut Unanswered) -> Result<Part> {
    let mut fields = object_at(path.clone(), value)?;
    if fields.has("functionCall") {
        return Ok(Part::ToolCall(decode_call(fields, calls)?));
    }
    if let Some(response) = object_in(&mut fields, "functionResponse")? {
        let mut result = function::decode_result(response, calls)?;
        let beside = fields.rest();
        if !beside.is_empty() {
            let own = result.extras.entry(NAMESPACE.to_owned()).or_default();
            own.insert(function::BESIDE.to_owned(), Value::Object(beside));
        }
        return Ok(Part::ToolResult(result));
    }
    if fields.has("inlineData") || fields.has("fileData") {
        let mut rest = fields.rest();
        let mut media = media::take(&mut rest).ok_or_else(|| {
            let message = format!("{path} must hold a mimeType and data, or a fileUri, as strings");
            Error::invalid(path, message)
        })?;
        media.extras = extras_of(rest);
        return Ok(Part::Media(media));
    }
    if fields.has("text") {
        return decode_text(fields);
    }
    Ok(Part::Native(NativeItem { api: API.to_owned(), item: Value::Object(fields.rest()) }))
}

fn decode_text(mut fields: Fields) -> Result<Part> {
    let text = fields.required_string("text")?;
    let is_thought = fields.bool("thought")?.unwrap_or_default();
    if !is_thought {
        let extras = fields.into_extras(NAMESPACE);
        return Ok(Part::Text(Text { text, extras, ..Text::default() }));
    }
    // The mark says that the thought is Google's own, and goes back to Google only.
    fields.put_back("thought", Value::Bool(true));
    let extras = fields.into_extras(NAMESPACE);
    Ok(Part::Reasoning(Reasoning { text, extras, ..Reasoning::default() }))
}

fn decode_call(mut part: Fields, calls: &mut Unanswered) -> Result<ToolCall> {
    let path = part.path_of("functionCall");
    let mut call = object_at(path, part.take("functionCall").unwrap_or_default())?;
    let name = call.required_string("name")?;
    let given = call.string("id")?.filter(|id| !id.is_empty());
    let arguments = match call.object("args")? {
        Some(arguments) => Value::Object(arguments.rest()).to_string(),
        None => "{}".to_owned(),
    };
    let id = calls.call(&name, given);
    let more = call.rest();
    if !more.is_empty() {
        part.put_back(IN_CALL, Value::Object(more));
    }
    Ok(ToolCall { id, name, arguments, hosted: false, extras: part.into_extras(NAMESPACE) })
}
