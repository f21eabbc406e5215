//! Messages and the system prompt of a request, read.

use serde_json::Value;
use tollgate_types::{Error, Message, Origin, Part, Result, Role};

use super::{API, NAMESPACE, blocks};
use crate::dialects::fields::Fields;

/// The namespaced mark of instructions that stand within the conversation, not before it.
pub(super) const IN_PLACE: &str = "in_place";

/// Reads `system` and `messages`.
pub(super) fn decode_messages(fields: &mut Fields) -> Result<Vec<Message>> {
    let mut read = Vec::new();
    let path = fields.path_of("system");
    if let Some(system) = fields.take("system") {
        read.push(Message::new(Role::System, blocks::decode_content(&path, system)?));
    }
    let messages = fields.list("messages")?.ok_or_else(|| fields.missing("messages"))?;
    if messages.is_empty() {
        return Err(Error::invalid("messages", "messages must hold at least one message"));
    }
    for (path, message) in messages {
        decode_message(Fields::of(path, message)?, &mut read)?;
    }
    Ok(read)
}

fn decode_message(mut fields: Fields, read: &mut Vec<Message>) -> Result<()> {
    let role = fields.required_string("role")?;
    let path = fields.path_of("content");
    let content = fields.take("content").ok_or_else(|| fields.missing("content"))?;
    let content = blocks::decode_content(&path, content)?;
    match role.as_str() {
        "user" => {
            let extras = fields.into_extras(NAMESPACE);
            let first = read.len();
            by_speaker(content, read);
            if let Some(message) = read.get_mut(first) {
                message.extras = extras;
            }
        }
        "assistant" => {
            let mut message = Message::new(Role::Assistant, content);
            message.origin = Some(Origin { api: API.to_owned(), ..Origin::default() });
            message.extras = fields.into_extras(NAMESPACE);
            read.push(message);
        }
        "system" => {
            fields.put_back(IN_PLACE, Value::Bool(true));
            let mut message = Message::new(Role::System, content);
            message.extras = fields.into_extras(NAMESPACE);
            read.push(message);
        }
        other => {
            let path = fields.path_of("role");
            let message = format!("{path} must be user or assistant, not {other:?}");
            return Err(Error::invalid(path, message));
        }
    }
    Ok(())
}

/// Results of tools are turns of their own; order stays.
fn by_speaker(content: Vec<Part>, read: &mut Vec<Message>) {
    let first = read.len();
    for part in content {
        let role = if matches!(part, Part::ToolResult(_)) { Role::Tool } else { Role::User };
        match read.get_mut(first..).and_then(<[Message]>::last_mut) {
            Some(message) if message.role == role => message.content.push(part),
            _ => read.push(Message::new(role, vec![part])),
        }
    }
    if read.len() == first {
        read.push(Message::new(Role::User, Vec::new()));
    }
}
