//! The events of a response on their way out: numbered, and with the response as it stands.

use serde_json::{Map, Value, json};
use tollgate_types::{Error, Usage};

use super::{
    super::{encode_error, stream_encoder::with_rest},
    Echo, usage,
};
use crate::dialects::{merge::object, stream::ReplyHead};

/// Writes the events of one answer.
#[derive(Debug)]
pub(super) struct Events {
    head: ReplyHead,
    echo: Echo,
    sequence: u64,
    /// The items by their place; `null` until they are whole.
    output: Vec<Value>,
    ready: Vec<Value>,
}

impl Events {
    pub(super) fn new(head: ReplyHead, echo: Echo) -> Self {
        Self { head, echo, sequence: 0, output: Vec::new(), ready: Vec::new() }
    }

    /// The events that have been written since.
    pub(super) fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.ready)
    }

    /// Writes an event.
    pub(super) fn event(&mut self, kind: &str, fields: Value) {
        let mut event = Map::from_iter([
            ("type".to_owned(), kind.into()),
            ("sequence_number".to_owned(), self.sequence.into()),
        ]);
        if let Value::Object(fields) = fields {
            event.extend(fields.into_iter().filter(|(key, _)| !event_head(key)));
        }
        self.sequence = self.sequence.saturating_add(1);
        self.ready.push(Value::Object(event));
    }

    /// How many places are taken.
    pub(super) fn len(&self) -> usize {
        self.output.len()
    }

    /// A place for the next item.
    pub(super) fn place(&mut self) -> usize {
        self.output.push(Value::Null);
        self.output.len() - 1
    }

    /// An id that is ours: the same each time for the same answer and place.
    pub(super) fn id(&self, prefix: &str, place: usize) -> String {
        let answer = self.head.id.strip_prefix("resp_").unwrap_or(&self.head.id);
        format!("{prefix}_{answer}_{place}")
    }

    /// An item begins.
    pub(super) fn added(&mut self, place: usize, item: Value) {
        self.event("response.output_item.added", json!({"output_index": place, "item": item}));
    }

    /// An item is whole.
    pub(super) fn done(&mut self, place: usize, item: Map<String, Value>) {
        let fields = json!({"output_index": place, "item": item});
        self.keep(place, item);
        self.event("response.output_item.done", fields);
    }

    /// An item that the response shows from now on, without a word.
    pub(super) fn keep(&mut self, place: usize, item: Map<String, Value>) {
        if let Some(slot) = self.output.get_mut(place) {
            *slot = Value::Object(item);
        }
    }

    /// An item that comes as a whole.
    pub(super) fn whole(&mut self, item: Map<String, Value>) {
        let place = self.place();
        self.added(place, Value::Object(item.clone()));
        self.done(place, item);
    }

    /// An event that carries the response as it stands.
    pub(super) fn response(&mut self, kind: &str, status: &str, more: Map<String, Value>) {
        let mut response = object([
            ("id", Some(self.head.id.as_str().into())),
            ("object", Some("response".into())),
            ("created_at", Some(self.head.created_s.into())),
            ("status", Some(status.into())),
            ("error", Some(Value::Null)),
            ("incomplete_details", Some(Value::Null)),
            ("model", Some(self.head.model.as_str().into())),
            ("output", Some(self.output.iter().filter(|item| !item.is_null()).cloned().collect())),
            ("usage", Some(Value::Null)),
        ]);
        for (key, value) in self.echo.fields() {
            response.entry(key).or_insert(value);
        }
        response.extend(more);
        self.event(kind, json!({"response": response}));
    }

    /// The events that end a broken answer: clients look at one or the other.
    pub(super) fn failed(&mut self, error: &Error) {
        let said = encode_error(error).get_mut("error").map(Value::take).unwrap_or_default();
        let code = ["code", "type"].into_iter().filter_map(|key| said.get(key)?.as_str()).next();
        let (code, message) = (code.unwrap_or("server_error").to_owned(), error.message());
        let flat = json!({"code": code, "message": message, "param": error.body().param,
            "error": said});
        self.event("error", flat);
        let failure = json!({"code": code, "message": message});
        self.response("response.failed", "failed", object([("error", Some(failure))]));
    }
}

fn event_head(key: &str) -> bool {
    matches!(key, "type" | "sequence_number")
}

/// Usage with the provider's further fields; what we counted wins.
pub(super) fn usage_with(used: &Usage, rest: Option<&Value>) -> Value {
    let rest = rest.and_then(Value::as_object).cloned().unwrap_or_default();
    with_rest(Value::Object(usage::encode(used)), &rest)
}
