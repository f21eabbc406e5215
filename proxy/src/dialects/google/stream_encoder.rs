//! Events to chunks of a streamed answer, as Google's SDKs accept them.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tollgate_types::{Citation, Extras, Part, Reasoning, StreamEvent, Text, TokenLogprob};

use super::{
    API, logprobs, parts,
    reply::{Ending, own_sections},
};
use crate::dialects::{merge::merge, stream::ReplyHead};

/// Writes the chunks of one answer. The HTTP layer frames them as events or as an array.
#[derive(Debug)]
pub struct StreamEncoder {
    head: ReplyHead,
    parts: BTreeMap<u32, Slot>,
    ending: Ending,
}

/// What a part's deltas become.
#[derive(Debug)]
enum Slot {
    Text(String, Vec<Citation>),
    Thought,
    /// Told when it is whole: calls and media.
    Whole(Part),
    Silent,
}

impl StreamEncoder {
    /// Writes an answer under a head.
    pub fn new(head: ReplyHead) -> Self {
        Self { head, parts: BTreeMap::new(), ending: Ending::default() }
    }

    /// The chunks that an event becomes.
    pub fn push(&mut self, event: &StreamEvent) -> Vec<Value> {
        match event {
            StreamEvent::PartStart { index, part } => self.part_start(*index, part),
            StreamEvent::PartDelta { index, delta, logprobs } => {
                self.part_delta(*index, delta, logprobs)
            }
            StreamEvent::PartEnd { index, citations, extras, .. } => {
                self.part_end(*index, citations, extras)
            }
            StreamEvent::Raw { api, value } if api == API && value.get("index").is_some() => {
                vec![self.chunk(value.clone())]
            }
            StreamEvent::Finish { finish, usage, extras, .. } => {
                let (own, usage_rest, top) = own_sections(extras);
                let ending = std::mem::take(&mut self.ending);
                let (candidate, usage) = ending.write(finish, usage, (&own, &usage_rest));
                let mut last = json!({"usageMetadata": usage,
                    "modelVersion": self.head.model, "responseId": self.head.id});
                if let Value::Object(last) = &mut last {
                    if !super::reply::is_block(&top, finish) {
                        // Some clients trip over a candidate without content.
                        let mut fields = Map::new();
                        fields.insert("content".to_owned(), content(json!({"text": ""})));
                        merge(&mut fields, &candidate);
                        last.insert("candidates".to_owned(), json!([fields]));
                    }
                    merge(last, &top);
                }
                vec![last]
            }
            _ => Vec::new(),
        }
    }

    fn part_start(&mut self, index: u32, part: &Part) -> Vec<Value> {
        let (slot, chunks) = match part {
            Part::Text(text) => (
                Slot::Text(text.text.clone(), text.citations.clone()),
                self.words(parts::text(text), &text.logprobs, says(&text.text, &text.extras)),
            ),
            Part::Reasoning(thought) => (
                Slot::Thought,
                self.words(parts::reasoning(thought), &[], says(&thought.text, &thought.extras)),
            ),
            Part::Refusal(refusal) => {
                let said = says(&refusal.text, &refusal.extras);
                let chunks = self.words(json!({"text": refusal.text}), &[], said);
                (Slot::Text(refusal.text.clone(), Vec::new()), chunks)
            }
            Part::ToolCall(call) if !call.hosted => (Slot::Whole(part.clone()), Vec::new()),
            Part::Media(_) => (Slot::Whole(part.clone()), Vec::new()),
            Part::Native(native) if native.api == API => {
                (Slot::Silent, vec![self.part(native.item.clone())])
            }
            _ => (Slot::Silent, Vec::new()),
        };
        self.parts.insert(index, slot);
        chunks
    }

    fn part_delta(&mut self, index: u32, delta: &str, odds: &[TokenLogprob]) -> Vec<Value> {
        match self.parts.get_mut(&index) {
            Some(Slot::Text(text, _)) => {
                text.push_str(delta);
                self.words(json!({"text": delta}), odds, !delta.is_empty())
            }
            Some(Slot::Thought) => {
                let thought = Reasoning { text: delta.to_owned(), ..Reasoning::default() };
                self.words(parts::reasoning(&thought), &[], !delta.is_empty())
            }
            Some(Slot::Whole(part)) => {
                if let Some(growing) = part.growing() {
                    growing.push_str(delta);
                }
                Vec::new()
            }
            Some(Slot::Silent) | None => Vec::new(),
        }
    }

    fn part_end(&mut self, index: u32, cited: &[Citation], extras: &Extras) -> Vec<Value> {
        match self.parts.remove(&index) {
            Some(Slot::Text(text, mut citations)) => {
                citations.extend(cited.iter().cloned());
                self.ending.cite(&text, &citations);
                let late = Text { extras: extras.clone(), ..Text::default() };
                self.words(parts::text(&late), &[], says("", extras))
            }
            Some(Slot::Thought) => {
                let late = Reasoning { extras: extras.clone(), ..Reasoning::default() };
                self.words(parts::reasoning(&late), &[], says("", extras))
            }
            Some(Slot::Whole(mut part)) => {
                if let Some(own) = part.extras_mut() {
                    for (namespace, more) in extras {
                        own.entry(namespace.clone()).or_default().extend(more.clone());
                    }
                }
                let written = self.ending.whole(&part);
                written.map(|part| self.part(part)).into_iter().collect()
            }
            Some(Slot::Silent) | None => Vec::new(),
        }
    }

    /// A chunk of words; nothing when there is nothing to say.
    fn words(&self, part: Value, odds: &[TokenLogprob], says: bool) -> Vec<Value> {
        if !says && odds.is_empty() {
            return Vec::new();
        }
        let mut candidate = json!({"content": content(part), "index": 0});
        if let (Some(odds), Value::Object(candidate)) = (logprobs::encode(odds), &mut candidate) {
            candidate.insert("logprobsResult".to_owned(), odds);
        }
        vec![self.chunk(candidate)]
    }

    fn part(&self, part: Value) -> Value {
        self.chunk(json!({"content": content(part), "index": 0}))
    }

    fn chunk(&self, candidate: Value) -> Value {
        json!({"candidates": [candidate],
            "modelVersion": self.head.model, "responseId": self.head.id})
    }
}

fn content(part: Value) -> Value {
    json!({"parts": [part], "role": "model"})
}

/// Whether a text or what this dialect keeps with it says anything.
fn says(text: &str, extras: &Extras) -> bool {
    !text.is_empty() || extras.get(super::NAMESPACE).is_some_and(|own| !own.is_empty())
}
