//! The turns of a request, written as input items.

use serde_json::{Map, Value, json};
use tollgate_types::{Message, Part, Reasoning, Result, Role, Text, ToolCall, ToolResult};

use super::{
    API, NAMESPACE,
    content::{self, fill},
    decode_input::INSTRUCTIONS,
    item::{self, facts_of},
    reasoning,
};
use crate::dialects::{call_id, call_id::IdRule, honoured::Honoured, merge::object};

/// Writes the turns as items, and the first one as instructions if it came so. `stored` says
/// whether the provider keeps what it said.
pub(super) fn encode_messages(
    messages: &[Message],
    stored: bool,
    honoured: &mut Honoured,
) -> Result<(Option<String>, Vec<Value>)> {
    let mut items = Vec::with_capacity(messages.len());
    let instructions = messages.first().filter(|message| are_instructions(message));
    let skipped = usize::from(instructions.is_some());
    for (n, message) in messages.iter().enumerate().skip(skipped) {
        let place = format!("messages[{n}].content");
        let own = is_own(message);
        let mut turn = Turn { place, own, stored, items: Vec::new(), said: None, honoured };
        for part in &message.content {
            match message.role {
                Role::Assistant => turn.add_made(part)?,
                _ => turn.add_told(part, message)?,
            }
        }
        turn.end_message();
        items.append(&mut turn.items);
    }
    Ok((instructions.map(Message::text), items))
}

fn are_instructions(message: &Message) -> bool {
    let marked = message.extras.get(NAMESPACE).is_some_and(|own| own.contains_key(INSTRUCTIONS));
    let plain = message.content.iter().all(|part| part.as_text().is_some());
    message.role == Role::System && marked && plain
}

/// Whether a turn was made by this API: only then do its ids and encrypted reasoning mean anything.
fn is_own(message: &Message) -> bool {
    message.origin.as_ref().is_none_or(|origin| origin.api == API)
}

/// One turn on its way to the wire.
struct Turn<'a> {
    place: String,
    own: bool,
    stored: bool,
    items: Vec<Value>,
    /// The message item that is open.
    said: Option<Said>,
    honoured: &'a mut Honoured,
}

struct Said {
    /// Fields of the item itself.
    facts: Map<String, Value>,
    content: Vec<Value>,
}

impl Turn<'_> {
    /// A part that the model made.
    fn add_made(&mut self, part: &Part) -> Result<()> {
        if let Some(written) = content::encode_output(part) {
            let facts = if self.own { facts_of(part) } else { Map::new() };
            let native = matches!(part, Part::Native(_));
            self.say(facts, native, self.bare(written));
            return Ok(());
        }
        self.end_message();
        match part {
            Part::ToolCall(call) if self.own || !call.hosted => self.call(call),
            Part::Reasoning(reasoning) => self.thought(reasoning),
            Part::ToolResult(result) => self.result(result)?,
            Part::Media(media) if self.own && item::is_own_image(&media.extras) => {
                self.items.extend(item::encode_image(media).map(Value::Object));
            }
            Part::Native(native) if native.api == API => self.items.push(native.item.clone()),
            Part::Media(media) => {
                let message = format!("an assistant turn has no place for {}", media.media_type);
                self.honoured.cannot(&self.place, message)?;
            }
            _ => {
                let message = "an item that another API's provider made cannot be replayed";
                self.honoured.cannot(&self.place, message)?;
            }
        }
        Ok(())
    }

    /// What is written of a text that another API made: the text alone.
    fn bare(&self, mut written: Map<String, Value>) -> Value {
        if !self.own {
            written.retain(|key, _| matches!(key.as_str(), "type" | "text" | "refusal"));
        }
        Value::Object(written)
    }

    fn say(&mut self, facts: Map<String, Value>, joins: bool, written: Value) {
        if self.said.as_ref().is_some_and(|said| !joins && said.facts != facts) {
            self.end_message();
        }
        let said = self.said.get_or_insert_with(|| Said { facts, content: Vec::new() });
        said.content.push(written);
    }

    fn end_message(&mut self) {
        let Some(said) = self.said.take() else { return };
        let mut written = object([
            ("type", Some("message".into())),
            ("role", Some("assistant".into())),
            ("content", Some(said.content.into())),
        ]);
        written.extend(said.facts.into_iter().filter(|(key, _)| key != "content" && key != "role"));
        self.items.push(Value::Object(written));
    }

    fn call(&mut self, call: &ToolCall) {
        let mut written = item::encode_call(call, IdRule::OpenAiResponses);
        if self.own {
            fill(&mut written, &call.extras);
        }
        self.items.push(Value::Object(written));
    }

    /// Reasoning goes back to who made it, and to nobody else. An item that is but its id and a
    /// summary is looked up there, and a request is refused where nothing is kept.
    fn thought(&mut self, reasoning: &Reasoning) {
        let is_sealed = reasoning.signature.is_some() || reasoning.encrypted.is_some();
        let is_known = self.stored || is_sealed || reasoning::is_full(reasoning);
        if self.own && is_known && reasoning.extras.contains_key(NAMESPACE) {
            self.items.push(Value::Object(reasoning::encode(reasoning)));
        }
    }

    /// A part that the model is told.
    fn add_told(&mut self, part: &Part, message: &Message) -> Result<()> {
        let written = match part {
            Part::ToolResult(result) => return self.result(result),
            Part::Native(native) if native.api == API => {
                self.items.push(native.item.clone());
                return Ok(());
            }
            _ => content::encode_input(part),
        };
        let Some(written) = written else {
            let message = format!("the Responses API has no place for {}", what(part));
            return self.honoured.cannot(&self.place, message);
        };
        let last = self.items.last_mut().filter(|item| item["type"] == "message");
        match last.and_then(|item| item.get_mut("content")) {
            Some(Value::Array(content)) => content.push(Value::Object(written)),
            _ => {
                let role = role_word(message.role);
                let mut item = object([
                    ("type", Some("message".into())),
                    ("role", Some(role.into())),
                    ("content", Some(json!([written]))),
                ]);
                fill(&mut item, &message.extras);
                item.shift_remove(INSTRUCTIONS);
                self.items.push(Value::Object(item));
            }
        }
        Ok(())
    }

    fn result(&mut self, result: &ToolResult) -> Result<()> {
        let mut content = Vec::with_capacity(result.content.len());
        for part in &result.content {
            match content::encode_input(part) {
                Some(part) => content.push(Value::Object(part)),
                None => {
                    let message = format!("a tool result has no place for {}", what(part));
                    self.honoured.cannot(&self.place, message)?;
                }
            }
        }
        let mut written = Map::new();
        let own = result.extras.get(NAMESPACE).and_then(|own| own.get("type"));
        let kind = own.cloned().unwrap_or_else(|| "function_call_output".into());
        written.insert("type".to_owned(), kind);
        let id = call_id::fit(&result.call_id, IdRule::OpenAiResponses);
        written.insert("call_id".to_owned(), id.into());
        written.insert("output".to_owned(), shortest(&result.content, content));
        if self.own {
            fill(&mut written, &result.extras);
        }
        self.items.push(Value::Object(written));
        Ok(())
    }
}

/// A single plain text is written as a string: every host understands that.
fn shortest(parts: &[Part], content: Vec<Value>) -> Value {
    match parts {
        [] => Value::String(String::new()),
        [Part::Text(Text { text, extras, .. })] if extras.is_empty() => text.as_str().into(),
        _ => Value::Array(content),
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

fn what(part: &Part) -> String {
    match part {
        Part::Media(media) => media.media_type.clone(),
        Part::Native(native) => format!("an item of {}", native.api),
        Part::Reasoning(_) => "reasoning".to_owned(),
        Part::ToolCall(_) => "a tool call".to_owned(),
        _ => "this part".to_owned(),
    }
}
