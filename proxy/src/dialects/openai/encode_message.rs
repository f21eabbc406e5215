//! Messages of a chat completions request, written.

use serde_json::{Map, Value, json};
use tollgate_types::{Media, Message, Part, Reasoning, Result, Role, Text, ToolResult};

use super::{CHAT_API, Host, NAMESPACE, details, media, reasoning, tools};
use crate::dialects::{
    call_id,
    honoured::Honoured,
    merge::{merge, object},
};

/// Writes `messages`. A turn with several tool results becomes several messages.
pub(super) fn encode_messages(
    messages: &[Message],
    host: Host,
    honoured: &mut Honoured,
) -> Result<Vec<Value>> {
    let mut written = Vec::with_capacity(messages.len());
    for (n, message) in messages.iter().enumerate() {
        let mut turn = Turn { place: format!("messages[{n}].content"), host, ..Turn::default() };
        for part in &message.content {
            turn.add(part, message.role, honoured)?;
        }
        turn.write(message, &mut written);
    }
    Ok(written)
}

/// One turn on its way to the wire.
#[derive(Default)]
struct Turn {
    place: String,
    host: Host,
    results: Vec<Map<String, Value>>,
    content: Vec<Value>,
    calls: Vec<Value>,
    /// Reasoning text by the field that it goes into.
    reasoning: Map<String, Value>,
    /// Fields of the message itself.
    fields: Map<String, Value>,
}

impl Turn {
    fn add(&mut self, part: &Part, role: Role, honoured: &mut Honoured) -> Result<()> {
        match part {
            Part::Text(text) => self.content.push(text_part(text)),
            Part::Refusal(refusal) => {
                self.content.push(json!({"type": "refusal", "refusal": refusal.text}));
            }
            Part::ToolCall(call) if !call.hosted => {
                let mut written = tools::encode_call(call, self.host.id_rule());
                if self.host != Host::OpenAi {
                    details::put_signature(&mut written, &call.extras);
                }
                self.calls.push(Value::Object(written));
            }
            Part::ToolResult(result) => {
                let result = self.tool_result(result, honoured)?;
                self.results.push(result);
            }
            Part::Media(media) if role == Role::Assistant => self.own_media(media, honoured)?,
            Part::Media(media) => match media::encode(media) {
                Some(part) => self.content.push(part),
                None => {
                    honoured.cannot(&self.place, format!("no place for {}", media.media_type))?
                }
            },
            // OpenAI neither gives nor takes reasoning; DeepSeek wants it back.
            Part::Reasoning(reasoning) if self.host != Host::OpenAi => self.thought(reasoning),
            Part::Reasoning(_) => {}
            Part::Native(native) if native.api == CHAT_API => {
                self.content.push(native.item.clone())
            }
            Part::ToolCall(_) | Part::Native(_) => {
                let message = "an item that another API's provider made cannot be replayed";
                honoured.cannot(&self.place, message)?;
            }
        }
        Ok(())
    }

    fn thought(&mut self, thought: &Reasoning) {
        for name in reasoning::names_of(thought) {
            match self.reasoning.get_mut(name) {
                Some(Value::String(text)) => text.push_str(&thought.text),
                _ => {
                    self.reasoning.insert(name.to_owned(), thought.text.as_str().into());
                }
            }
        }
        let details = thought.extras.get(NAMESPACE).and_then(|own| own.get(details::DETAILS));
        if let Some(details) = details {
            self.fields.insert(details::DETAILS.to_owned(), details.clone());
        }
    }

    fn tool_result(
        &self,
        result: &ToolResult,
        honoured: &mut Honoured,
    ) -> Result<Map<String, Value>> {
        let mut content = Vec::with_capacity(result.content.len());
        for part in &result.content {
            match part {
                Part::Text(text) => content.push(text_part(text)),
                Part::Native(native) if native.api == CHAT_API => content.push(native.item.clone()),
                _ => honoured.cannot(&self.place, "a tool result can only hold text")?,
            }
        }
        let mut message = object([
            ("role", Some("tool".into())),
            ("tool_call_id", Some(call_id::fit(&result.call_id, self.host.id_rule()).into())),
            ("content", Some(shortest(content))),
        ]);
        if let Some(extras) = result.extras.get(NAMESPACE) {
            merge(&mut message, extras);
        }
        Ok(message)
    }

    /// Audio of an earlier answer is repeated by its id.
    fn own_media(&mut self, media: &Media, honoured: &mut Honoured) -> Result<()> {
        match media.extras.get(NAMESPACE).and_then(|own| own.get("id")) {
            Some(id) => {
                self.fields.insert("audio".to_owned(), json!({"id": id}));
                Ok(())
            }
            None => {
                honoured.cannot(&self.place, "an assistant turn can only repeat OpenAI's audio")
            }
        }
    }

    fn write(self, message: &Message, written: &mut Vec<Value>) {
        let extras = message.extras.get(NAMESPACE);
        let only_results =
            self.content.is_empty() && self.calls.is_empty() && !self.results.is_empty();
        for mut result in self.results {
            if let (true, Some(extras)) = (only_results, extras) {
                merge(&mut result, extras);
            }
            written.push(Value::Object(result));
        }
        if only_results {
            return;
        }
        let is_silent = self.content.is_empty() && self.calls.is_empty() && self.fields.is_empty();
        if is_silent
            && message.role == Role::Assistant
            && self.reasoning.is_empty()
            && extras.is_none()
        {
            // A turn of nothing but foreign thoughts; OpenAI refuses one without content.
            return;
        }
        let content = match self.content.is_empty() && !is_silent {
            true => Value::Null,
            false => shortest(self.content),
        };
        let mut turn = object([
            ("role", Some(role_word(message.role).into())),
            ("name", message.name.as_deref().map(Value::from)),
            ("content", Some(content)),
            ("tool_calls", Some(self.calls).filter(|calls| !calls.is_empty()).map(Value::from)),
        ]);
        merge(&mut turn, &self.reasoning);
        merge(&mut turn, &self.fields);
        if let Some(extras) = extras {
            merge(&mut turn, extras);
        }
        written.push(Value::Object(turn));
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::Assistant => "assistant",
        // What a tool turn holds besides results was put there by the user's program.
        Role::User | Role::Tool => "user",
    }
}

fn text_part(text: &Text) -> Value {
    let mut part =
        object([("type", Some("text".into())), ("text", Some(text.text.as_str().into()))]);
    if let Some(extras) = text.extras.get(NAMESPACE) {
        merge(&mut part, extras);
    }
    Value::Object(part)
}

/// A single plain text is written as a string: every host understands that.
fn shortest(content: Vec<Value>) -> Value {
    match content.as_slice() {
        [] => Value::String(String::new()),
        [Value::Object(part)] if part.len() == 2 => match part.get("text") {
            Some(text) => text.clone(),
            None => Value::Array(content),
        },
        _ => Value::Array(content),
    }
}
