//! The events of a streamed message, in Anthropic's order.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{begun, ending, final_usage, tool_use};
use crate::mock::{
    answer::event,
    turn::{Call, SIGNATURE, Turn},
};

/// The events of one stream.
struct Events {
    frames: Vec<Bytes>,
    /// The place of the block under way.
    index: usize,
}

/// All events of an answer.
pub(super) fn of(turn: &Turn) -> Vec<Bytes> {
    let mut events = Events { frames: Vec::new(), index: 0 };
    events.push(&json!({"type": "message_start", "message": begun(turn)}));
    if turn.thinks {
        events.think(turn);
    }
    if !turn.words.is_empty() {
        events.say(turn);
    }
    for (n, call) in turn.calls.iter().enumerate() {
        events.call(n, call);
    }
    let mut end = json!({"type": "message_delta", "delta": ending(turn)});
    if let (Value::Object(end), Some(usage)) = (&mut end, final_usage(&turn.usage)) {
        end.insert("usage".to_owned(), usage.into());
    }
    events.push(&end);
    if turn.done {
        events.push(&json!({"type": "message_stop"}));
    }
    events.frames
}

impl Events {
    fn think(&mut self, turn: &Turn) {
        self.start(&json!({"type": "thinking", "thinking": "", "signature": ""}));
        for word in &turn.thoughts {
            self.delta(&json!({"type": "thinking_delta", "thinking": word}));
        }
        self.delta(&json!({"type": "signature_delta", "signature": SIGNATURE}));
        self.stop();
    }

    fn say(&mut self, turn: &Turn) {
        self.start(&json!({"type": "text", "text": ""}));
        for word in &turn.words {
            self.delta(&json!({"type": "text_delta", "text": word}));
        }
        self.stop();
    }

    fn call(&mut self, n: usize, call: &Call) {
        self.start(&tool_use(n, &call.name, &json!({})));
        self.delta(&json!({"type": "input_json_delta", "partial_json": ""}));
        // A call without arguments sends nothing more.
        if call.arguments != "{}" {
            for piece in call.pieces() {
                self.delta(&json!({"type": "input_json_delta", "partial_json": piece}));
            }
        }
        self.stop();
    }

    fn start(&mut self, block: &Value) {
        let index = self.index;
        self.push(&json!({"type": "content_block_start", "index": index, "content_block": block}));
        if index == 0 {
            self.push(&json!({"type": "ping"}));
        }
    }

    fn delta(&mut self, delta: &Value) {
        let index = self.index;
        self.push(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
    }

    fn stop(&mut self) {
        self.push(&json!({"type": "content_block_stop", "index": self.index}));
        self.index += 1;
    }

    /// Adds an event, padded with spaces inside of the JSON, as the real ones are.
    fn push(&mut self, json: &Value) {
        let kind = json.get("type").and_then(Value::as_str).unwrap_or_default();
        let mut text = json.to_string();
        text.pop();
        text.push_str(&" ".repeat(self.frames.len() * 7 % 16));
        text.push('}');
        self.frames.push(event(kind, &text));
    }
}
