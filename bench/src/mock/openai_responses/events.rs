//! The events of a streamed response, in OpenAI's order.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{Responses, function_call, message, part, state};
use crate::{
    mock::{
        answer::event,
        turn::{Call, Turn},
    },
    script::Because,
};

/// The events of one stream, numbered.
pub(super) struct Events {
    frames: Vec<Bytes>,
    /// The place of the item under way.
    output: usize,
    pads: bool,
}

impl Events {
    pub(super) fn new(pads: bool) -> Self {
        Self { frames: Vec::new(), output: 0, pads }
    }

    /// All events of an answer.
    pub(super) fn of(mut self, api: &Responses, turn: &Turn) -> Vec<Bytes> {
        let begun = api.response(turn, "in_progress", &[]);
        self.push("response.created", json!({"response": begun}));
        self.push("response.in_progress", json!({"response": begun}));
        if turn.thinks {
            self.think(api, turn);
        }
        if !turn.words.is_empty() || turn.calls.is_empty() {
            self.say(turn);
        }
        for (n, call) in turn.calls.iter().enumerate() {
            self.call(turn, n, call);
        }
        if turn.done {
            let kind = match turn.because {
                Because::Length | Because::Safety => "response.incomplete",
                Because::Done | Because::Refusal | Because::Blocked => "response.completed",
            };
            self.push(kind, json!({"response": api.ended(turn)}));
        }
        self.frames
    }

    fn think(&mut self, api: &Responses, turn: &Turn) {
        let id = json!({"item_id": "rs_mock", "output_index": self.output, "summary_index": 0});
        self.item("added", &api.reasoning(""));
        let text = turn.thinking();
        if !turn.thoughts.is_empty() {
            let part = |text: &str| json!({"part": {"type": "summary_text", "text": text}});
            self.push_at("response.reasoning_summary_part.added", &id, part(""));
            for word in &turn.thoughts {
                self.delta("response.reasoning_summary_text.delta", &id, word);
            }
            let done = json!({"text": text});
            self.push_at("response.reasoning_summary_text.done", &id, done);
            self.push_at("response.reasoning_summary_part.done", &id, part(&text));
        }
        self.item("done", &api.reasoning(&text));
        self.output += 1;
    }

    fn say(&mut self, turn: &Turn) {
        let place = self.output;
        let id = json!({
            "item_id": format!("msg_mock_{place}"), "output_index": place, "content_index": 0,
        });
        let mut text_id = id.clone();
        let (kind, field) = match turn.because {
            Because::Refusal => ("response.refusal", "refusal"),
            _ => {
                // They are there, asked for or not.
                text_id["logprobs"] = json!([]);
                ("response.output_text", "text")
            }
        };
        self.item("added", &message(place, "in_progress", Vec::new()));
        self.push_at("response.content_part.added", &id, json!({"part": part(turn, "")}));
        for word in &turn.words {
            self.delta(&format!("{kind}.delta"), &text_id, word);
        }
        let text = turn.text();
        let whole = part(turn, &text);
        self.push_at(&format!("{kind}.done"), &text_id, json!({field: text}));
        self.push_at("response.content_part.done", &id, json!({"part": whole}));
        self.item("done", &message(place, state(turn), vec![whole]));
        self.output += 1;
    }

    fn call(&mut self, turn: &Turn, n: usize, call: &Call) {
        let id = json!({"item_id": format!("fc_mock_{n}"), "output_index": self.output});
        self.item("added", &function_call(n, &call.name, "", "in_progress"));
        for piece in call.pieces() {
            self.delta("response.function_call_arguments.delta", &id, piece);
        }
        let done = json!({"arguments": call.arguments});
        self.push_at("response.function_call_arguments.done", &id, done);
        self.item("done", &function_call(n, &call.name, &call.arguments, state(turn)));
        self.output += 1;
    }

    fn item(&mut self, what: &str, item: &Value) {
        let kind = format!("response.output_item.{what}");
        self.push(&kind, json!({"item": item, "output_index": self.output}));
    }

    fn delta(&mut self, kind: &str, id: &Value, text: &str) {
        let mut delta = json!({"delta": text});
        if let (true, Value::Object(delta)) = (self.pads, &mut delta) {
            let letters = 16_usize.saturating_sub(text.len());
            delta.insert("obfuscation".to_owned(), "x".repeat(letters).into());
        }
        self.push_at(kind, id, delta);
    }

    /// Adds an event of an item.
    fn push_at(&mut self, kind: &str, id: &Value, fields: Value) {
        let mut all = id.clone();
        if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
            all.extend(fields);
        }
        self.push(kind, all);
    }

    fn push(&mut self, kind: &str, fields: Value) {
        let mut all = json!({"type": kind, "sequence_number": self.frames.len()});
        if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
            all.extend(fields);
        }
        self.frames.push(event(kind, &all.to_string()));
    }
}
