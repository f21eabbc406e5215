//! Common events to the events of a streamed message, as the official SDKs accept them.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tollgate_types::{
    Citation, Error, Extras, Finish, Media, MediaSource, Part, StreamEvent, ToolCall, Usage,
};

use super::{
    API, NAMESPACE, blocks, citation, encode_error, finish,
    reply::{encode_part, take_usage_rest},
    usage,
};
use crate::dialects::{
    call_id::IdRule,
    merge::{merge, object},
    stream::ReplyHead,
};

/// Writes the events of one answer. The HTTP layer frames each under the name in its `type`.
#[derive(Debug)]
pub struct StreamEncoder {
    head: ReplyHead,
    /// Anthropic made the answer, so its signatures are worth keeping.
    signed: bool,
    refused: bool,
    parts: BTreeMap<u32, Slot>,
    blocks: u32,
}

/// What a part's deltas become.
#[derive(Debug)]
enum Slot {
    Text {
        block: u32,
    },
    Thinking {
        block: u32,
        signature: Option<String>,
    },
    Call {
        block: u32,
    },
    /// Media is sent whole.
    Media(Media),
    /// Complete already, or without a place in the format.
    Silent,
}

impl Slot {
    /// The block that is still open.
    fn block(&self) -> Option<u32> {
        match self {
            Self::Text { block } | Self::Thinking { block, .. } | Self::Call { block } => {
                Some(*block)
            }
            Self::Media(_) | Self::Silent => None,
        }
    }
}

impl StreamEncoder {
    /// Writes an answer under a head.
    pub fn new(head: ReplyHead) -> Self {
        Self { head, signed: false, refused: false, parts: BTreeMap::new(), blocks: 0 }
    }

    /// The events that a common event becomes.
    pub fn push(&mut self, event: &StreamEvent) -> Vec<Value> {
        match event {
            StreamEvent::Start { origin, .. } => {
                *self = Self::new(std::mem::take(&mut self.head));
                self.signed = origin.api == API;
                vec![self.message_start()]
            }
            StreamEvent::PartStart { index, part } => self.part_start(*index, part),
            StreamEvent::PartDelta { index, delta, .. } => self.part_delta(*index, delta),
            StreamEvent::PartEnd { index, signature, citations, .. } => {
                self.part_end(*index, signature.as_deref(), citations)
            }
            StreamEvent::Raw { api, value } if api == API => vec![value.clone()],
            StreamEvent::Finish { finish, usage, extras, .. } => self.end(finish, usage, extras),
            StreamEvent::Error { error } => vec![self.error(error)],
            _ => Vec::new(),
        }
    }

    /// The event that reports an error inside a stream; nothing follows it.
    pub fn error(&self, error: &Error) -> Value {
        encode_error(error)
    }

    /// What is used is not known yet; `message_delta` tells it.
    fn message_start(&self) -> Value {
        json!({"type": "message_start", "message": {
            "id": self.head.id, "type": "message", "role": "assistant", "model": self.head.model,
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }})
    }

    fn part_start(&mut self, index: u32, part: &Part) -> Vec<Value> {
        let mut out = Vec::new();
        let slot = match part {
            Part::Text(text) => {
                let mut block = blocks::encode_text(text);
                block.insert("text".to_owned(), "".into());
                block.shift_remove("citations");
                let block = self.start(block, &mut out);
                out.extend(text_delta(block, &text.text));
                out.extend(citation_deltas(block, &text.citations));
                Slot::Text { block }
            }
            Part::Refusal(refusal) => {
                self.refused = true;
                let empty = object([("type", Some("text".into())), ("text", Some("".into()))]);
                let block = self.start(empty, &mut out);
                out.extend(text_delta(block, &refusal.text));
                Slot::Text { block }
            }
            Part::Reasoning(reasoning)
                if reasoning.encrypted.is_some() && reasoning.signature.is_none() =>
            {
                if let Some(Value::Object(block)) = encode_part(part, self.signed) {
                    self.whole(block, &mut out);
                }
                Slot::Silent
            }
            Part::Reasoning(reasoning) => {
                let mut empty = object([
                    ("type", Some("thinking".into())),
                    ("thinking", Some("".into())),
                    ("signature", Some("".into())),
                ]);
                blocks::add_extras(&mut empty, reasoning.extras.get(NAMESPACE));
                let block = self.start(empty, &mut out);
                out.extend(thinking_delta(block, &reasoning.text));
                Slot::Thinking { block, signature: reasoning.signature.clone() }
            }
            Part::ToolCall(call) if !call.hosted || blocks::is_own_hosted(call) => {
                self.call_start(call, &mut out)
            }
            Part::Media(media) => Slot::Media(media.clone()),
            part => {
                if let Some(Value::Object(block)) = encode_part(part, self.signed) {
                    self.whole(block, &mut out);
                }
                Slot::Silent
            }
        };
        self.parts.insert(index, slot);
        out
    }

    fn call_start(&mut self, call: &ToolCall, out: &mut Vec<Value>) -> Slot {
        let block = self.start(blocks::encode_call(call, IdRule::Any, json!({})), out);
        out.extend(input_delta(block, &call.arguments));
        Slot::Call { block }
    }

    fn part_delta(&mut self, index: u32, delta: &str) -> Vec<Value> {
        let written = match self.parts.get_mut(&index) {
            Some(Slot::Text { block }) => text_delta(*block, delta),
            Some(Slot::Thinking { block, .. }) => thinking_delta(*block, delta),
            Some(Slot::Call { block }) => input_delta(*block, delta),
            Some(Slot::Media(Media { source: MediaSource::Base64(data), .. })) => {
                data.push_str(delta);
                None
            }
            Some(Slot::Media(_) | Slot::Silent) | None => None,
        };
        written.into_iter().collect()
    }

    fn part_end(
        &mut self,
        index: u32,
        signature: Option<&str>,
        citations: &[Citation],
    ) -> Vec<Value> {
        let mut out = Vec::new();
        match self.parts.remove(&index) {
            Some(Slot::Text { block }) => {
                out.extend(citation_deltas(block, citations));
                out.push(stop(block));
            }
            Some(Slot::Thinking { block, signature: early }) => {
                let signature = signature.or(early.as_deref()).filter(|_| self.signed);
                out.extend(signature.map(|signature| {
                    delta(block, json!({"type": "signature_delta", "signature": signature}))
                }));
                out.push(stop(block));
            }
            Some(Slot::Call { block }) => out.push(stop(block)),
            Some(Slot::Media(media)) => {
                if let Some(Value::Object(block)) = blocks::encode_media(&media) {
                    self.whole(block, &mut out);
                }
            }
            Some(Slot::Silent) | None => {}
        }
        out
    }

    fn start(&mut self, block: Map<String, Value>, out: &mut Vec<Value>) -> u32 {
        let index = self.blocks;
        self.blocks = self.blocks.saturating_add(1);
        out.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        index
    }

    fn whole(&mut self, block: Map<String, Value>, out: &mut Vec<Value>) {
        let index = self.start(block, out);
        out.push(stop(index));
    }

    fn end(&mut self, why: &Finish, used: &Usage, extras: &Extras) -> Vec<Value> {
        let mut own = extras.get(NAMESPACE).cloned().unwrap_or_default();
        let usage_rest = take_usage_rest(&mut own);
        let mut delta = object([
            ("stop_reason", Some(finish::encode(why, self.refused).into())),
            ("stop_sequence", Some(Value::Null)),
        ]);
        // The only fact of an answer that stands beside the delta.
        let beside = own.shift_remove("context_management");
        merge(&mut delta, &own);
        let last = object([
            ("type", Some("message_delta".into())),
            ("delta", Some(Value::Object(delta))),
            ("usage", Some(usage::encode(used, Some(&usage_rest)))),
            ("context_management", beside),
        ]);
        // An answer that a budget cut short has left its last block open.
        let mut out: Vec<Value> = std::mem::take(&mut self.parts)
            .into_values()
            .filter_map(|slot| slot.block())
            .map(stop)
            .collect();
        out.extend([Value::Object(last), json!({"type": "message_stop"})]);
        out
    }
}

fn delta(block: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": block, "delta": delta})
}

fn stop(block: u32) -> Value {
    json!({"type": "content_block_stop", "index": block})
}

/// A delta of text; nothing when there is nothing to say.
fn text_delta(block: u32, text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| delta(block, json!({"type": "text_delta", "text": text})))
}

fn thinking_delta(block: u32, text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| delta(block, json!({"type": "thinking_delta", "thinking": text})))
}

fn input_delta(block: u32, text: &str) -> Option<Value> {
    (!text.is_empty())
        .then(|| delta(block, json!({"type": "input_json_delta", "partial_json": text})))
}

fn citation_deltas(block: u32, citations: &[Citation]) -> Vec<Value> {
    let write = |citation| {
        delta(block, json!({"type": "citations_delta", "citation": citation::encode(citation)}))
    };
    citations.iter().map(write).collect()
}
