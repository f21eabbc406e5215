//! Messages of a chat, written.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tollgate_types::{Error, Message, Part, Reasoning, Result, Role, ToolCall, ToolResult};

use super::{NAMESPACE, images, tools};
use crate::dialects::{
    call_id::{self, IdRule},
    honoured::Honoured,
    merge::{merge, object},
    reserved::as_go_reads,
};

/// Fields of a turn that its extras may not set: what a turn says has been measured.
const RESERVED: [&str; 7] =
    ["role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"];

/// Refuses extras that would say something else than the turn does.
pub(super) fn check_turns(turns: &[Message]) -> Result<()> {
    for (at, turn) in turns.iter().enumerate() {
        let Some(extras) = turn.extras.get(NAMESPACE) else { continue };
        let taken = |key: &&String| RESERVED.contains(&as_go_reads(key).as_str());
        if let Some(key) = extras.keys().find(taken) {
            let message = format!("{key} cannot be set through extras");
            let param = format!("messages[{at}].extras.{NAMESPACE}.{key}");
            return Err(Error::invalid(param, message));
        }
    }
    Ok(())
}

/// Writes `messages`. A turn with several tool results becomes several messages.
pub(super) fn encode_messages(messages: &[Message], honour: &mut Honoured) -> Result<Vec<Value>> {
    let mut written = Vec::with_capacity(messages.len());
    let mut names = BTreeMap::new();
    for (n, message) in messages.iter().enumerate() {
        let place = format!("messages[{n}].content");
        let mut turn =
            Turn { place, names: &mut names, results: Vec::new(), said: Said::default() };
        if message.name.is_some() {
            honour.cannot(format!("messages[{n}].name"), "Ollama's turns carry no names")?;
        }
        for part in &message.content {
            turn.add(part, message, honour)?;
        }
        turn.write(message, &mut written);
    }
    Ok(written)
}

/// One turn on its way to the wire.
struct Turn<'a, 'n> {
    place: String,
    /// The tool of each call so far: a result has to name it.
    names: &'n mut BTreeMap<&'a str, &'a str>,
    results: Vec<Map<String, Value>>,
    said: Said,
}

/// What one message says.
#[derive(Default)]
struct Said {
    texts: Vec<String>,
    thinking: String,
    images: Vec<Value>,
    calls: Vec<Value>,
}

impl<'a> Turn<'a, '_> {
    fn add(&mut self, part: &'a Part, message: &Message, honour: &mut Honoured) -> Result<()> {
        match part {
            Part::Text(text) => self.said.texts.push(text.text.clone()),
            Part::Refusal(refusal) => self.said.texts.push(refusal.text.clone()),
            Part::Reasoning(reasoning) if is_own(reasoning, message) => {
                self.said.thinking.push_str(&reasoning.text);
            }
            // What another model thought is not this one's thought.
            Part::Reasoning(_) => {}
            Part::Media(media) => {
                self.said.images.extend(images::encode(media, &self.place, honour)?);
            }
            Part::ToolCall(call) if !call.hosted => self.call(call, honour)?,
            Part::ToolResult(result) => {
                let result = self.tool_result(result, honour)?;
                self.results.push(result);
            }
            Part::ToolCall(_) | Part::Native(_) => {
                let message = "an item that another API's provider made cannot be replayed";
                honour.cannot(&self.place, message)?;
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &'a ToolCall, honour: &mut Honoured) -> Result<()> {
        self.names.insert(&call.id, &call.name);
        match tools::encode_call(call, self.said.calls.len()) {
            Some(written) => self.said.calls.push(written),
            None => {
                let message =
                    format!("Ollama takes arguments as an object: those of {} are none", call.name);
                honour.cannot(&self.place, message)?;
            }
        }
        Ok(())
    }

    fn tool_result(
        &self,
        result: &ToolResult,
        honour: &mut Honoured,
    ) -> Result<Map<String, Value>> {
        let mut said = Said::default();
        for part in &result.content {
            match part {
                Part::Text(text) => said.texts.push(text.text.clone()),
                Part::Media(media) => {
                    said.images.extend(images::encode(media, &self.place, honour)?)
                }
                _ => honour.cannot(&self.place, "a tool result can only hold text and images")?,
            }
        }
        let name = result.name.as_deref();
        let name = name.or_else(|| self.names.get(result.call_id.as_str()).copied());
        let mut written = said.write("tool");
        merge(
            &mut written,
            &object([
                ("tool_name", name.map(Value::from)),
                ("tool_call_id", Some(call_id::fit(&result.call_id, IdRule::Any).into())),
            ]),
        );
        if let Some(extras) = result.extras.get(NAMESPACE) {
            merge(&mut written, extras);
        }
        Ok(written)
    }

    fn write(self, message: &Message, written: &mut Vec<Value>) {
        let extras = message.extras.get(NAMESPACE);
        let only_results = self.said.is_empty() && !self.results.is_empty();
        for mut result in self.results {
            if let (true, Some(extras)) = (only_results, extras) {
                merge(&mut result, extras);
            }
            written.push(Value::Object(result));
        }
        if only_results {
            return;
        }
        let mut turn = self.said.write(role_word(message.role));
        if let Some(extras) = extras {
            merge(&mut turn, extras);
        }
        written.push(Value::Object(turn));
    }
}

impl Said {
    fn is_empty(&self) -> bool {
        self.texts.is_empty()
            && self.thinking.is_empty()
            && self.images.is_empty()
            && self.calls.is_empty()
    }

    fn write(self, role: &str) -> Map<String, Value> {
        // Ollama parts neighbouring messages of one role in the same way; what a model said in
        // pieces was one text.
        let between = if role == "assistant" { "" } else { "\n\n" };
        let list = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
        object([
            ("role", Some(role.into())),
            ("content", Some(self.texts.join(between).into())),
            ("thinking", Some(self.thinking).filter(|text| !text.is_empty()).map(Value::from)),
            ("images", list(self.images)),
            ("tool_calls", list(self.calls)),
        ])
    }
}

/// Whether Ollama may see a thought: it made it, or nobody signed it.
fn is_own(reasoning: &Reasoning, message: &Message) -> bool {
    match &message.origin {
        Some(origin) => origin.api.starts_with("ollama."),
        None => reasoning.signature.is_none() && reasoning.encrypted.is_none(),
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::Assistant => "assistant",
        // What a tool turn holds besides results was put there by the user's program.
        Role::User | Role::Tool => "user",
    }
}
