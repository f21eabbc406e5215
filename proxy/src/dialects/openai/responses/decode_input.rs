//! The input of a request, read: a list of items becomes a list of turns.

use serde_json::Value;
use std::collections::HashMap;
use tollgate_types::{Error, Message, Origin, Part, Result, Role, ToolResult};

use super::{
    NAMESPACE, content, extras_of,
    item::{self, facts_of},
    reasoning::{Shown, text_of},
    seal::{On, Seal},
};
use crate::dialects::{
    fields::{Fields, wrong_type},
    merge::object,
};

/// The mark of the turn that came as `instructions`.
pub(super) const INSTRUCTIONS: &str = "instructions";

/// Reads `instructions` and `input`.
pub(super) fn decode_messages(fields: &mut Fields) -> Result<Vec<Message>> {
    let mut turns = Turns::default();
    if let Some(text) = fields.string("instructions")? {
        let mut message = Message::system(text);
        message.extras = extras_of(object([(INSTRUCTIONS, Some(true.into()))]));
        turns.push(message);
    }
    match fields.take("input") {
        None => {}
        Some(Value::String(text)) => turns.push(Message::user(text)),
        Some(input @ Value::Array(_)) => {
            fields.put_back("input", input);
            for (path, item) in fields.list("input")?.unwrap_or_default() {
                turns.add(path, item)?;
            }
        }
        Some(other) => return Err(wrong_type("input", "a string or a list of items", &other)),
    }
    turns.done.extend(turns.turn);
    Ok(turns.done)
}

/// Turns as they are put together.
#[derive(Default)]
struct Turns {
    done: Vec<Message>,
    /// The turn of the model that is going on.
    turn: Option<Message>,
    /// Where the last message item begins in that turn.
    last_item: usize,
    calls: Calls,
}

/// Where each call stands: looked for once, because a caller decides how many there are.
#[derive(Default)]
struct Calls {
    places: HashMap<String, (usize, usize)>,
    /// The turn and the part up to which was looked.
    seen: (usize, usize),
}

impl Calls {
    /// The turn and the part of the latest call with an id. Turns and parts only ever get more.
    fn find<'a>(
        &mut self,
        id: &str,
        turns: impl Iterator<Item = &'a Message>,
    ) -> Option<(usize, usize)> {
        let (turn, part) = self.seen;
        for (turn, message) in turns.enumerate().skip(turn) {
            let part = if turn == self.seen.0 { part } else { 0 };
            for (part, content) in message.content.iter().enumerate().skip(part) {
                if let Part::ToolCall(call) = content {
                    self.places.insert(call.id.clone(), (turn, part));
                }
            }
            self.seen = (turn, message.content.len());
        }
        self.places.get(id).copied()
    }
}

impl Turns {
    fn add(&mut self, path: String, item: Value) -> Result<()> {
        if let Some(seal) = Seal::of_item(&item) {
            self.open(seal, &item);
            return Ok(());
        }
        let word = |key: &str| item.get(key).and_then(Value::as_str);
        match (word("type"), word("role")) {
            (None | Some("message"), Some("assistant")) => self.said(path, item)?,
            (None | Some("message"), _) => {
                let message = told(Fields::of(path, item)?)?;
                self.push(message);
            }
            (Some("function_call_output" | "custom_tool_call_output"), _) => {
                let result = result(Fields::of(path, item)?)?;
                self.push(Message::new(Role::Tool, vec![result]));
            }
            (Some(kind), _) if kind.ends_with("_output") || kind.ends_with("_response") => {
                self.push(Message::new(Role::Tool, vec![item::native(item)]));
            }
            _ => {
                let parts = item::decode(path, item, Shown::Nothing)?;
                self.assistant(None).content.extend(parts);
            }
        }
        Ok(())
    }

    /// A turn that is whole.
    fn push(&mut self, message: Message) {
        self.done.extend(self.turn.take());
        self.done.push(message);
    }

    /// The turn of the model that is going on; another one where another API's begins.
    fn assistant(&mut self, api: Option<&str>) -> &mut Message {
        let made_by = self.turn.as_ref().and_then(|turn| turn.origin.as_ref());
        if let (Some(api), Some(made_by)) = (api, made_by)
            && made_by.api != api
        {
            self.done.extend(self.turn.take());
        }
        let begin = || Message::new(Role::Assistant, Vec::new());
        let turn = self.turn.get_or_insert_with(begin);
        if let (Some(api), None) = (api, &turn.origin) {
            turn.origin = Some(Origin { api: api.to_owned(), ..Origin::default() });
        }
        turn
    }

    /// A message item of the model. One that looks like the last one is a turn of its own.
    fn said(&mut self, path: String, item: Value) -> Result<()> {
        let parts = item::decode(path, item, Shown::Nothing)?;
        let facts = parts.first().map(facts_of).unwrap_or_default();
        let is_said = |part: &&Part| matches!(part, Part::Text(_) | Part::Refusal(_));
        let last = self.turn.as_ref().and_then(|turn| turn.content.iter().rfind(is_said));
        if last.is_some_and(|part| facts_of(part) == facts) {
            self.done.extend(self.turn.take());
        }
        let turn = self.assistant(None);
        let begin = turn.content.len();
        turn.content.extend(parts);
        self.last_item = begin;
        Ok(())
    }

    /// Gives what another vendor sealed back to the part that it belongs to.
    fn open(&mut self, seal: Seal, item: &Value) {
        match &seal.on {
            On::Reasoning => {
                let pieces = item.get("summary").and_then(Value::as_array);
                let text = pieces.map(|pieces| text_of(pieces)).unwrap_or_default();
                let api = seal.api.clone();
                self.assistant(Some(&api)).content.push(seal.into_reasoning(text));
            }
            On::Call(id) => {
                let found = self.calls.find(id, self.done.iter().chain(&self.turn));
                let Some((turn, at)) = found else { return };
                let turn = self.done.get_mut(turn).or(self.turn.as_mut());
                if let Some(part) = turn.and_then(|turn| turn.content.get_mut(at)) {
                    seal.restore(part);
                }
            }
            On::Message(at) => {
                let at = self.last_item.saturating_add(*at);
                if let Some(part) = self.turn.as_mut().and_then(|turn| turn.content.get_mut(at)) {
                    seal.restore(part);
                }
            }
        }
    }
}

/// A message of anyone but the model.
fn told(mut fields: Fields) -> Result<Message> {
    fields.take("type");
    let role = match fields.required_string("role")?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        other => {
            let path = fields.path_of("role");
            let known = "system, developer, user or assistant";
            let message = format!("{path} must be {known}, not {other:?}");
            return Err(Error::invalid(path, message));
        }
    };
    let path = fields.path_of("content");
    let said = fields.take("content").ok_or_else(|| fields.missing("content"))?;
    let mut message = Message::new(role, content::decode(&path, said)?);
    message.extras = fields.into_extras(NAMESPACE);
    Ok(message)
}

/// Reads what a tool answered: text, or a list of parts.
fn result(mut fields: Fields) -> Result<Part> {
    let call_id = fields.required_string("call_id")?;
    let path = fields.path_of("output");
    let output = fields.take("output").ok_or_else(|| fields.missing("output"))?;
    let content = content::decode(&path, output)?;
    let kind = fields.required_string("type")?;
    if kind != "function_call_output" {
        fields.put_back("type", kind.into());
    }
    let mut own = fields.rest();
    own.retain(|_, value| !value.is_null());
    let extras = extras_of(own);
    Ok(Part::ToolResult(ToolResult { call_id, content, extras, ..ToolResult::default() }))
}
