//! Puts tool calls together from deltas, whose index, id and name hosts fill in differently.
//!
//! OpenAI sends id, type and name once and then the index; some hosts repeat id and name in each
//! delta, leave the index out, use one index for several calls, or send arguments as an object.

use serde_json::{Map, Value};
use tollgate_types::{Extras, Part, StreamEvent, ToolCall};

use super::{
    NAMESPACE, details, extras_of,
    tools::{arguments, custom_facts},
};

/// The calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    wire_index: Option<u64>,
    id: Option<String>,
    name: String,
    custom: bool,
    /// Arguments that came before the call was announced.
    early: String,
    /// Further facts of the call that have not been told.
    own: Map<String, Value>,
    part: Option<u32>,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one entry of `delta.tool_calls`. A call is announced with its first arguments, because
    /// some hosts send its name in pieces before.
    pub(super) fn push(
        &mut self,
        delta: &Value,
        parts: &mut PartNumbers,
        out: &mut Vec<StreamEvent>,
    ) {
        let custom = delta.get("custom");
        let function = custom.or_else(|| delta.get("function"));
        let id = word(delta.get("id"));
        let name = word(function.and_then(|function| function.get("name")));
        let wire_index = delta.get("index").and_then(Value::as_u64);
        let at = match self.find(wire_index, id, name) {
            Some(at) => at,
            None => {
                self.announce(parts, out);
                self.0.push(Call {
                    wire_index,
                    id: None,
                    name: String::new(),
                    custom: custom.is_some(),
                    early: String::new(),
                    own: Map::new(),
                    part: None,
                });
                self.0.len() - 1
            }
        };
        let made_up = parts.made_up_id(at);
        let Some(call) = self.0.get_mut(at) else { return };
        if call.id.is_none() {
            call.id = id.map(str::to_owned);
        }
        call.add_name(name.unwrap_or_default());
        call.add_facts(delta);
        let input = function.and_then(|f| f.get("arguments").or_else(|| f.get("input")));
        call.add_arguments(&arguments(input), made_up, parts, out);
    }

    /// The call that a delta belongs to; `None` when it begins another one.
    fn find(&self, wire_index: Option<u64>, id: Option<&str>, name: Option<&str>) -> Option<usize> {
        let by_index = wire_index
            .and_then(|index| self.0.iter().rposition(|call| call.wire_index == Some(index)));
        let last = self.0.len().checked_sub(1);
        match (by_index, id) {
            (Some(at), Some(id)) => {
                let known = self.0.get(at).and_then(|call| call.id.as_deref());
                let reused = known.is_some_and(|known| known != id) && name.is_some();
                if reused { self.with_id(id) } else { Some(at) }
            }
            (Some(at), None) => Some(at),
            (None, Some(id)) => self.with_id(id),
            (None, None) if name.is_some() => None,
            (None, None) => last,
        }
    }

    fn with_id(&self, id: &str) -> Option<usize> {
        self.0.iter().rposition(|call| call.id.as_deref() == Some(id))
    }

    /// Announces a call that has no arguments yet: another part follows, or the end.
    pub(super) fn announce(&mut self, parts: &mut PartNumbers, out: &mut Vec<StreamEvent>) {
        for (at, call) in self.0.iter_mut().enumerate() {
            if call.part.is_none() {
                call.start(parts.made_up_id(at), parts, out);
            }
        }
    }

    /// Ends every call.
    pub(super) fn end(&mut self, parts: &mut PartNumbers, out: &mut Vec<StreamEvent>) {
        self.announce(parts, out);
        out.extend(self.0.iter_mut().filter_map(Call::end));
    }
}

impl Call {
    /// Hosts send a name once, repeat it whole, or send it in pieces.
    fn add_name(&mut self, name: &str) {
        if self.part.is_none() && !name.starts_with(&self.name) {
            self.name.push_str(name);
        } else if self.part.is_none() && !name.is_empty() {
            name.clone_into(&mut self.name);
        }
    }

    /// Fields beside those that every host has: Google's signatures among them.
    fn add_facts(&mut self, delta: &Value) {
        let known = ["index", "id", "type", "function", "custom"];
        for (key, value) in delta.as_object().into_iter().flatten() {
            if !known.contains(&key.as_str()) && !value.is_null() {
                self.own.insert(key.clone(), value.clone());
            }
        }
    }

    /// The facts that have not been told, as extras.
    fn facts(&mut self) -> Extras {
        let mut own = std::mem::take(&mut self.own);
        let mut extras = details::take_signature(&mut own);
        extras.extend(extras_of(own));
        extras
    }

    fn end(&mut self) -> Option<StreamEvent> {
        let (index, extras) = (self.part?, self.facts());
        Some(StreamEvent::PartEnd { index, signature: None, citations: Vec::new(), extras })
    }

    fn add_arguments(
        &mut self,
        more: &str,
        made_up: String,
        parts: &mut PartNumbers,
        out: &mut Vec<StreamEvent>,
    ) {
        if more.is_empty() {
            return;
        }
        match self.part {
            Some(index) => out.push(StreamEvent::delta(index, more)),
            None if self.name.is_empty() => self.early.push_str(more),
            None => {
                self.early.push_str(more);
                self.start(made_up, parts, out);
            }
        }
    }

    fn start(&mut self, made_up: String, parts: &mut PartNumbers, out: &mut Vec<StreamEvent>) {
        let index = parts.next();
        self.part = Some(index);
        let mut extras = self.facts();
        if self.custom {
            extras.entry(NAMESPACE.to_owned()).or_default().extend(custom_facts());
        }
        let call = ToolCall {
            id: self.id.clone().unwrap_or(made_up),
            name: self.name.clone(),
            arguments: std::mem::take(&mut self.early),
            hosted: false,
            extras,
        };
        out.push(StreamEvent::PartStart { index, part: Part::ToolCall(call) });
    }
}

/// Numbers the parts of an answer, and names calls that came without an id.
#[derive(Debug, Default)]
pub(super) struct PartNumbers {
    next: u32,
    answer: String,
}

impl PartNumbers {
    pub(super) fn next(&mut self) -> u32 {
        let index = self.next;
        self.next = index.saturating_add(1);
        index
    }

    /// Remembers the answer's id.
    pub(super) fn of_answer(&mut self, id: &str) {
        self.answer = blake3::hash(id.as_bytes()).to_hex().chars().take(12).collect();
    }

    /// An id for the n-th call: the same each time the answer is read, and different in another
    /// answer of the same conversation. Short, because OpenAI refuses ids over 40 characters.
    fn made_up_id(&self, n: usize) -> String {
        format!("call_{}_{n}", self.answer)
    }
}

/// A text that says something.
fn word(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|word| !word.is_empty())
}
