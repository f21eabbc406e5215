//! Events to chunks of a streamed chat completion, as the official SDKs accept them.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tollgate_types::{
    Citation, Error, Extras, Media, MediaSource, Part, Reasoning, StreamEvent, TokenLogprob,
    ToolCall, Usage,
};

use super::{
    CHAT_API, NAMESPACE, citation, custom, details, encode_error, finish, logprobs, media, tools,
    usage,
};
use crate::dialects::{
    call_id::IdRule,
    merge::{merge, object},
    stream::ReplyHead,
};

/// Writes the chunks of one answer. The HTTP layer frames them as `data: ...` and, after a good
/// end, adds `data: [DONE]`.
#[derive(Debug)]
pub struct StreamEncoder {
    head: ReplyHead,
    include_usage: bool,
    parts: BTreeMap<u32, Slot>,
    calls: usize,
    /// Who answers, and how many pieces of reasoning have begun.
    api: String,
    thoughts: usize,
}

/// What a part's deltas become.
#[derive(Debug)]
enum Slot {
    Text(String),
    Refusal,
    /// Its text is sent already.
    Reasoning {
        at: usize,
        reasoning: Reasoning,
    },
    Call {
        index: usize,
        custom: bool,
    },
    Audio,
    /// An image is sent whole.
    Image(Media),
    /// The format has no place for it.
    Silent,
}

impl StreamEncoder {
    /// Writes an answer under a head; the usage chunk only if the client asked for it.
    pub fn new(head: ReplyHead, include_usage: bool) -> Self {
        Self {
            head,
            include_usage,
            parts: BTreeMap::new(),
            calls: 0,
            api: String::new(),
            thoughts: 0,
        }
    }

    /// The chunks that an event becomes.
    pub fn push(&mut self, event: &StreamEvent) -> Vec<Value> {
        match event {
            StreamEvent::Start { origin, .. } => {
                self.api.clone_from(&origin.api);
                self.delta(json!({"role": "assistant", "content": ""}))
            }
            StreamEvent::PartStart { index, part } => self.part_start(*index, part),
            StreamEvent::PartDelta { index, delta, logprobs } => {
                self.part_delta(*index, delta, logprobs)
            }
            StreamEvent::PartEnd { index, signature, citations, extras } => {
                self.part_end(*index, signature.as_ref(), citations, extras)
            }
            StreamEvent::Raw { api, value } if api == CHAT_API => self.raw(value),
            StreamEvent::Finish { finish, usage, extras, .. } => {
                self.end(finish::encode(finish.reason), usage, extras)
            }
            StreamEvent::Error { error } => vec![self.error(error)],
            _ => Vec::new(),
        }
    }

    /// The object that reports an error inside a stream; no `[DONE]` follows.
    pub fn error(&self, error: &Error) -> Value {
        encode_error(error)
    }

    fn part_start(&mut self, index: u32, part: &Part) -> Vec<Value> {
        let (slot, chunks) = match part {
            Part::Text(text) => {
                let mut chunks = self.words("content", &text.text, &text.logprobs);
                if !text.citations.is_empty() {
                    let notes = citation::encode(&text.citations, &text.text);
                    chunks.extend(self.delta(json!({"annotations": notes})));
                }
                (Slot::Text(text.text.clone()), chunks)
            }
            Part::Reasoning(reasoning) => {
                let at = self.thoughts;
                self.thoughts += 1;
                let chunks = self.words("reasoning_content", &reasoning.text, &[]);
                (Slot::Reasoning { at, reasoning: reasoning.clone() }, chunks)
            }
            Part::Refusal(refusal) => (Slot::Refusal, self.words("refusal", &refusal.text, &[])),
            Part::ToolCall(call) if !call.hosted => self.call_start(call),
            Part::Media(media) if media.media_type.starts_with("image/") => {
                (Slot::Image(media.clone()), Vec::new())
            }
            Part::Media(media) if media.media_type.starts_with("audio/") => {
                let chunks = self.audio(media);
                (Slot::Audio, chunks)
            }
            _ => (Slot::Silent, Vec::new()),
        };
        self.parts.insert(index, slot);
        chunks
    }

    fn call_start(&mut self, call: &ToolCall) -> (Slot, Vec<Value>) {
        let index = self.calls;
        self.calls += 1;
        let mut written = object([("index", Some(index.into()))]);
        merge(&mut written, &tools::encode_call(call, IdRule::Any));
        details::put_signature(&mut written, &call.extras);
        let slot = Slot::Call { index, custom: custom::is_call(call) };
        (slot, self.delta(json!({"tool_calls": [written]})))
    }

    fn audio(&self, audio: &Media) -> Vec<Value> {
        let mut written = audio.extras.get(NAMESPACE).cloned().unwrap_or_default();
        if let MediaSource::Base64(data) = &audio.source
            && !data.is_empty()
        {
            written.insert("data".to_owned(), data.as_str().into());
        }
        if let Some(said) = &audio.transcript {
            written.insert("transcript".to_owned(), said.as_str().into());
        }
        if written.is_empty() { Vec::new() } else { self.delta(json!({"audio": written})) }
    }

    fn part_delta(&mut self, index: u32, delta: &str, odds: &[TokenLogprob]) -> Vec<Value> {
        match self.parts.get_mut(&index) {
            Some(Slot::Text(text)) => {
                text.push_str(delta);
                self.words("content", delta, odds)
            }
            Some(Slot::Refusal) => self.words("refusal", delta, &[]),
            Some(Slot::Reasoning { reasoning, .. }) => {
                reasoning.text.push_str(delta);
                self.words("reasoning_content", delta, &[])
            }
            Some(Slot::Call { index, custom }) => {
                let call = tools::encode_call_delta(*index, *custom, delta);
                self.delta(json!({"tool_calls": [call]}))
            }
            Some(Slot::Image(Media { source: MediaSource::Base64(data), .. })) => {
                data.push_str(delta);
                Vec::new()
            }
            Some(Slot::Audio) => self.delta(json!({"audio": {"data": delta}})),
            Some(Slot::Image(_) | Slot::Silent) | None => Vec::new(),
        }
    }

    fn part_end(
        &mut self,
        index: u32,
        signature: Option<&String>,
        citations: &[Citation],
        extras: &Extras,
    ) -> Vec<Value> {
        match self.parts.remove(&index) {
            Some(Slot::Text(text)) if !citations.is_empty() => {
                self.delta(json!({"annotations": citation::encode(citations, &text)}))
            }
            Some(Slot::Image(image)) => {
                let image = media::encode_reply_image(&image);
                self.delta(json!({"images": image.into_iter().collect::<Vec<_>>()}))
            }
            Some(Slot::Audio) => self.own_facts(extras),
            Some(Slot::Reasoning { at, mut reasoning }) => {
                reasoning.signature = signature.cloned().or(reasoning.signature);
                for (name, facts) in extras {
                    reasoning.extras.entry(name.clone()).or_default().extend(facts.clone());
                }
                self.signed(&reasoning, at)
            }
            Some(Slot::Call { index, .. }) => self.late_facts(index, extras),
            _ => Vec::new(),
        }
    }

    /// What has to come back with reasoning; its text has been told.
    fn signed(&self, reasoning: &Reasoning, at: usize) -> Vec<Value> {
        let details = details::without_text(details::of(reasoning, &self.api, at));
        if details.is_empty() {
            Vec::new()
        } else {
            self.delta(json!({"reasoning_details": details}))
        }
    }

    /// What a call's end says beyond its deltas.
    fn late_facts(&self, index: usize, extras: &Extras) -> Vec<Value> {
        let mut call = extras.get(NAMESPACE).cloned().unwrap_or_default();
        details::put_signature(&mut call, extras);
        if call.is_empty() {
            return Vec::new();
        }
        call.insert("index".to_owned(), index.into());
        self.delta(json!({"tool_calls": [call]}))
    }

    /// What nobody models: of the first choice, or of another one.
    fn raw(&self, value: &Value) -> Vec<Value> {
        if let (Some(_), Value::Object(choice)) = (value.get("index"), value) {
            let mut chunk = self.chunk(None);
            if let Some(choices) = chunk.get_mut("choices") {
                *choices = json!([choice]);
            }
            return vec![chunk];
        }
        value.get("delta").map(|delta| self.delta(delta.clone())).unwrap_or_default()
    }

    /// A delta of a text field; nothing when there is nothing to say.
    fn words(&self, key: &str, text: &str, odds: &[TokenLogprob]) -> Vec<Value> {
        if text.is_empty() && odds.is_empty() {
            return Vec::new();
        }
        let delta = object([(key, Some(text.into()))]);
        vec![self.chunk(Some((Value::Object(delta), None, logprobs::encode(odds))))]
    }

    /// What this dialect keeps with sound goes into the delta again.
    fn own_facts(&self, extras: &Extras) -> Vec<Value> {
        match extras.get(NAMESPACE).filter(|own| !own.is_empty()) {
            Some(own) => self.delta(json!({"audio": own})),
            None => Vec::new(),
        }
    }

    fn end(&self, reason: &str, used: &Usage, extras: &Extras) -> Vec<Value> {
        let own = extras.get(NAMESPACE).cloned().unwrap_or_default();
        let (choice, usage_rest, top) = split_extras(own);
        let mut last = self.chunk(Some((json!({}), Some(reason), Value::Null)));
        if let Some(Value::Object(first)) = last.pointer_mut("/choices/0") {
            merge(first, &choice);
        }
        if let Value::Object(last) = &mut last {
            merge(last, &top);
        }
        let mut chunks = vec![last];
        if self.include_usage {
            let mut usage_chunk = self.chunk(None);
            if let Value::Object(chunk) = &mut usage_chunk {
                chunk.insert("usage".to_owned(), with_rest(usage::encode(used), &usage_rest));
            }
            chunks.push(usage_chunk);
        }
        chunks
    }

    fn delta(&self, delta: Value) -> Vec<Value> {
        vec![self.chunk(Some((delta, None, Value::Null)))]
    }

    fn chunk(&self, choice: Option<(Value, Option<&str>, Value)>) -> Value {
        let choices: Vec<Value> = choice
            .into_iter()
            .map(|(delta, finish_reason, logprobs)| {
                json!({"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason})
            })
            .collect();
        let mut chunk = object([
            ("id", Some(self.head.id.as_str().into())),
            ("object", Some("chat.completion.chunk".into())),
            ("created", Some(self.head.created_s.into())),
            ("model", Some(self.head.model.as_str().into())),
            ("choices", Some(choices.into())),
        ]);
        if self.include_usage {
            // OpenAI sends null on every chunk but the last.
            chunk.insert("usage".to_owned(), Value::Null);
        }
        Value::Object(chunk)
    }
}

/// The extras of an answer by where they belong: its choice, its usage, the answer itself.
pub(super) fn split_extras(
    mut own: Map<String, Value>,
) -> (Map<String, Value>, Map<String, Value>, Map<String, Value>) {
    let mut section = |key: &str| match own.shift_remove(key) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let (choice, usage) = (section("choice"), section("usage"));
    (choice, usage, own)
}

/// Usage with the provider's further fields; what we counted wins.
pub(super) fn with_rest(counted: Value, rest: &Map<String, Value>) -> Value {
    let mut all = rest.clone();
    if let Value::Object(counted) = counted {
        merge(&mut all, &counted);
    }
    Value::Object(all)
}
