//! Reasoning items of an answer; what another vendor signed goes in sealed.

use serde_json::{Value, json};
use tollgate_types::Reasoning;

use super::{
    super::{reasoning, seal::Seal},
    ResponsesEncoder, Slot, with,
};
use crate::dialects::merge::object;

impl ResponsesEncoder {
    pub(super) fn think(&mut self, reasoning: &Reasoning) -> Slot {
        self.leave();
        let item = self.events.place();
        let id = self.id("rs", item, &reasoning.extras);
        self.events.added(item, json!({"id": id, "type": "reasoning", "summary": []}));
        let mut shown = false;
        self.thought((item, &id), reasoning, &reasoning.text, &mut shown);
        Slot::Thought { item, id, reasoning: reasoning.clone(), shown }
    }

    pub(super) fn thought(
        &mut self,
        (item, id): (usize, &str),
        reasoning: &Reasoning,
        text: &str,
        shown: &mut bool,
    ) {
        if text.is_empty() {
            return;
        }
        let words = ThoughtWords::of(reasoning);
        let place = words.place(item, id);
        if !std::mem::replace(shown, true) {
            self.events.event(words.added, with(&place, [("part", words.part(""))]));
        }
        self.events.event(words.delta, with(&place, [("delta", text.into())]));
    }

    pub(super) fn end_thought(
        &mut self,
        (item, id): (usize, String),
        reasoning: &Reasoning,
        shown: bool,
    ) {
        if shown {
            let words = ThoughtWords::of(reasoning);
            let place = words.place(item, &id);
            let text = reasoning.text.as_str();
            self.events.event(words.done, with(&place, [("text", text.into())]));
            self.events.event(words.part_done, with(&place, [("part", words.part(text))]));
        }
        let mut whole = object([("id", Some(id.into()))]);
        if self.is_own() {
            let mut written = reasoning::encode(reasoning);
            written.shift_remove("id");
            whole.extend(written);
        } else {
            let bare = Reasoning { text: reasoning.text.clone(), ..Reasoning::default() };
            whole.extend(reasoning::encode(&bare));
            let seal = Seal::reasoning(&self.api, reasoning).write();
            whole.insert("encrypted_content".to_owned(), seal.into());
        }
        self.events.done(item, whole);
    }
}

/// The words of the events about reasoning: a summary's, or the full text's.
struct ThoughtWords {
    index: &'static str,
    kind: &'static str,
    added: &'static str,
    delta: &'static str,
    done: &'static str,
    part_done: &'static str,
}

impl ThoughtWords {
    fn of(reasoning: &Reasoning) -> Self {
        if reasoning::is_full(reasoning) {
            Self {
                index: "content_index",
                kind: "reasoning_text",
                added: "response.content_part.added",
                delta: "response.reasoning_text.delta",
                done: "response.reasoning_text.done",
                part_done: "response.content_part.done",
            }
        } else {
            Self {
                index: "summary_index",
                kind: "summary_text",
                added: "response.reasoning_summary_part.added",
                delta: "response.reasoning_summary_text.delta",
                done: "response.reasoning_summary_text.done",
                part_done: "response.reasoning_summary_part.done",
            }
        }
    }

    fn place(&self, item: usize, id: &str) -> Value {
        let mut place = json!({"item_id": id, "output_index": item});
        if let Value::Object(fields) = &mut place {
            fields.insert(self.index.to_owned(), 0.into());
        }
        place
    }

    fn part(&self, text: &str) -> Value {
        json!({"type": self.kind, "text": text})
    }
}
