//! Messages of a chat, read.

use serde_json::Value;
use std::collections::BTreeSet;
use tollgate_types::{Error, Message, Part, Reasoning, Result, Role, ToolCall, ToolResult};

use super::{NAMESPACE, images, tools};
use crate::dialects::{
    fields::{Fields, numbered, wrong_type},
    waiting::Waiting,
};

/// Reads `messages`; an empty list only loads the model.
pub(super) fn decode_messages(fields: &mut Fields) -> Result<Vec<Message>> {
    let messages = fields.list("messages")?.unwrap_or_default();
    let mut calls = Calls::of(&messages);
    messages
        .into_iter()
        .map(|(path, message)| decode_message(Fields::of(path, message)?, &mut calls))
        .collect()
}

fn decode_message(mut fields: Fields, calls: &mut Calls) -> Result<Message> {
    let role = fields.required_string("role")?;
    let role = match role.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => {
            let path = fields.path_of("role");
            let message = format!("{path} must be system, user, assistant or tool, not {other:?}");
            return Err(Error::invalid(path, message));
        }
    };
    let mut content = words(&mut fields)?;
    if role == Role::Tool {
        content = vec![tool_result(&mut fields, content, calls)?];
    }
    if role == Role::Assistant {
        if let Some(text) = fields.string("thinking")?.filter(|text| !text.is_empty()) {
            content.insert(0, Part::Reasoning(Reasoning { text, ..Reasoning::default() }));
        }
        content.extend(tool_calls(&mut fields, calls)?.into_iter().map(Part::ToolCall));
    }
    if content.is_empty() {
        content.push(Part::text(""));
    }
    let mut message = Message::new(role, content);
    message.extras = fields.into_extras(NAMESPACE);
    Ok(message)
}

/// What a message says: Ollama puts a message's images before its text.
fn words(fields: &mut Fields) -> Result<Vec<Part>> {
    let mut content = images::decode(fields, "images")?;
    if let Some(text) = fields.string("content")?.filter(|text| !text.is_empty()) {
        content.push(Part::text(text));
    }
    Ok(content)
}

fn tool_result(fields: &mut Fields, content: Vec<Part>, calls: &mut Calls) -> Result<Part> {
    let name = fields.string("tool_name")?;
    let id = fields.string("tool_call_id")?.filter(|id| !id.is_empty());
    let call_id = calls.answered(id, name.as_deref());
    Ok(Part::ToolResult(ToolResult { call_id, name, content, ..ToolResult::default() }))
}

fn tool_calls(fields: &mut Fields, calls: &mut Calls) -> Result<Vec<ToolCall>> {
    let path = fields.path_of("tool_calls");
    let written = match fields.take("tool_calls") {
        None => Vec::new(),
        Some(Value::Array(written)) => written,
        Some(other) => return Err(wrong_type(&path, "a list", &other)),
    };
    numbered(&path, written)
        .into_iter()
        .map(|(path, call)| {
            let call = tools::decode_call(Fields::of(path, call)?, || calls.new_id())?;
            calls.made(&call);
            Ok(call)
        })
        .collect()
}

/// The calls of a conversation, told apart although old versions give them no ids: a result belongs
/// to the first call of its tool that has none yet.
struct Calls {
    /// Ids that the client wrote.
    taken: BTreeSet<String>,
    count: usize,
    waiting: Waiting,
}

impl Calls {
    fn of(messages: &[(String, Value)]) -> Self {
        let calls =
            messages.iter().filter_map(|(_, message)| message.get("tool_calls")?.as_array());
        let ids = calls.flatten().filter_map(|call| call.get("id")?.as_str());
        Self { taken: ids.map(str::to_owned).collect(), count: 0, waiting: Waiting::default() }
    }

    /// The same each time that the conversation is read.
    fn new_id(&mut self) -> String {
        loop {
            let id = format!("call_{}", self.count);
            self.count += 1;
            if !self.taken.contains(&id) {
                return id;
            }
        }
    }

    fn made(&mut self, call: &ToolCall) {
        self.waiting.push(&call.id, &call.name);
    }

    /// The id of the call that a result answers.
    fn answered(&mut self, id: Option<String>, name: Option<&str>) -> String {
        let call = match (&id, name) {
            (Some(id), _) => self.waiting.take_id(id),
            (None, Some(name)) => self.waiting.take_name(name),
            (None, None) => self.waiting.take_first(),
        };
        call.or(id).unwrap_or_else(|| self.new_id())
    }
}
