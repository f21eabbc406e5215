//! Message items of an answer: texts and refusals, and what other vendors keep with them.

use serde_json::{Map, Value, json};
use tollgate_types::{Part, TokenLogprob};

use super::{
    super::{
        super::logprobs,
        content::encode_output,
        item::facts_of,
        seal::{On, Seal},
    },
    ResponsesEncoder, Slot, with,
};
use crate::dialects::merge::object;

/// A message item that is not whole yet.
#[derive(Debug)]
pub(super) struct Message {
    id: String,
    facts: Map<String, Value>,
    content: Vec<Value>,
    open: usize,
    seals: Vec<Seal>,
}

impl ResponsesEncoder {
    /// A text begins: in the message item before, if it belongs there.
    pub(super) fn say(&mut self, part: Part) -> Slot {
        let facts = if self.is_own() { facts_of(&part) } else { Map::new() };
        let joins = |message: &Message| {
            matches!(part, Part::Native(_)) || message.facts.get("id") == facts.get("id")
        };
        let joined = self.current.filter(|at| self.messages.get(at).is_some_and(joins));
        let item = joined.unwrap_or_else(|| self.open_message(facts));
        let Some(message) = self.messages.get_mut(&item) else { return Slot::Silent };
        let at = message.content.len();
        message.content.push(Value::Null);
        message.open += 1;
        let id = message.id.clone();
        let (empty, odds) = match &part {
            Part::Text(text) => (
                json!({"type": "output_text", "annotations": [], "logprobs": [], "text": ""}),
                text.logprobs.as_slice(),
            ),
            Part::Native(native) => (native.item.clone(), &[][..]),
            _ => (json!({"type": "refusal", "refusal": ""}), &[][..]),
        };
        let place = json!({"item_id": id, "output_index": item, "content_index": at});
        self.events.event("response.content_part.added", with(&place, [("part", empty)]));
        if let Some(text) = part.clone().growing() {
            self.said((item, at), &part, text, odds);
        }
        Slot::Said { item, at, part }
    }

    fn open_message(&mut self, facts: Map<String, Value>) -> usize {
        self.leave();
        let item = self.events.place();
        let id = facts.get("id").and_then(Value::as_str).map(str::to_owned);
        let id = id.unwrap_or_else(|| self.events.id("msg", item));
        let mut begun = object([
            ("id", Some(id.as_str().into())),
            ("type", Some("message".into())),
            ("status", Some("in_progress".into())),
            ("role", Some("assistant".into())),
            ("content", Some(json!([]))),
        ]);
        for (key, value) in &facts {
            begun.entry(key.as_str()).or_insert_with(|| value.clone());
        }
        self.events.added(item, Value::Object(begun));
        let message = Message { id, facts, content: Vec::new(), open: 0, seals: Vec::new() };
        self.messages.insert(item, message);
        self.current = Some(item);
        item
    }

    /// The message item that is open takes no more texts.
    pub(super) fn leave(&mut self) {
        if let Some(item) = self.current.take() {
            self.end_message(item);
        }
    }

    /// Ends a message item, if no text of it is open.
    pub(super) fn end_message(&mut self, item: usize) {
        if self.messages.get(&item).is_none_or(|message| message.open > 0) {
            return;
        }
        let Some(message) = self.messages.remove(&item) else { return };
        let mut whole = object([
            ("id", Some(message.id.into())),
            ("type", Some("message".into())),
            ("status", Some("completed".into())),
            ("role", Some("assistant".into())),
            ("content", Some(message.content.into())),
        ]);
        for (key, value) in message.facts {
            if key == "status" || !whole.contains_key(&key) {
                whole.insert(key, value);
            }
        }
        self.events.done(item, whole);
        message.seals.into_iter().for_each(|seal| self.seal(Some(seal)));
    }

    /// A reasoning item that carries what another vendor wants back.
    pub(super) fn seal(&mut self, seal: Option<Seal>) {
        let Some(seal) = seal else { return };
        let place = self.events.place();
        let item = seal.into_item(&self.events.id("rs", place));
        self.events.added(place, Value::Object(item.clone()));
        self.events.done(place, item);
    }

    pub(super) fn said(
        &mut self,
        (item, at): (usize, usize),
        part: &Part,
        text: &str,
        odds: &[TokenLogprob],
    ) {
        if text.is_empty() && odds.is_empty() {
            return;
        }
        let id = self.messages.get(&item).map(|message| message.id.as_str());
        let place = json!({"item_id": id, "output_index": item, "content_index": at});
        let delta = ("delta", Value::from(text));
        if matches!(part, Part::Text(_)) {
            let odds = ("logprobs", logprobs::encode_tokens(odds).into());
            self.events.event("response.output_text.delta", with(&place, [delta, odds]));
        } else {
            self.events.event("response.refusal.delta", with(&place, [delta]));
        }
    }

    pub(super) fn end_said(&mut self, (item, at): (usize, usize), part: &Part) {
        let own = self.is_own();
        let written = Value::Object(encode_output(part).unwrap_or_default());
        let Some(message) = self.messages.get_mut(&item) else { return };
        let place = json!({"item_id": message.id, "output_index": item, "content_index": at});
        message.open = message.open.saturating_sub(1);
        if let Some(slot) = message.content.get_mut(at) {
            slot.clone_from(&written);
        }
        if own {
            message.facts.extend(facts_of(part));
        }
        if let Part::Text(text) = part {
            message.seals.extend(Seal::facts(&self.api, On::Message(at), &text.extras));
        }
        let field = |key: &str| written.get(key).cloned().unwrap_or_default();
        match part {
            Part::Text(_) => {
                let notes = field("annotations");
                for (n, note) in notes.as_array().into_iter().flatten().enumerate() {
                    let fields = [("annotation_index", n.into()), ("annotation", note.clone())];
                    self.events
                        .event("response.output_text.annotation.added", with(&place, fields));
                }
                let fields = [("text", field("text")), ("logprobs", field("logprobs"))];
                self.events.event("response.output_text.done", with(&place, fields));
            }
            Part::Refusal(_) => {
                let fields = [("refusal", field("refusal"))];
                self.events.event("response.refusal.done", with(&place, fields));
            }
            _ => {}
        }
        self.events.event("response.content_part.done", with(&place, [("part", written)]));
        if self.current != Some(item) {
            self.end_message(item);
        }
    }
}
