//! Chunks of a streamed chat completion to events. Whole answers take the same way, as one chunk,
//! so that both say the same.
//!
//! Real hosts differ from OpenAI in ways that each have a test: usage in a chunk without choices
//! after the finish reason, on every chunk or in `x_groq`; a first chunk without choices (Azure);
//! errors inside a good stream; no `[DONE]` (Hugging Face, Perplexity); a finish reason twice.

mod plain;

use serde_json::{Map, Value};
use tollgate_types::{
    Error, ErrorKind, Extras, Origin, Part, Reasoning, Refusal, Result, StreamEvent, TokenLogprob,
    Usage,
};

use super::{
    CHAT_API,
    calls::{Calls, PartNumbers},
    citation,
    decode_error::error_in_answer,
    extras_of, finish, logprobs, media, reasoning, usage,
};
use crate::dialects::{
    merge::{merge, object},
    stream::Decoder,
};

/// Reads the `data:` payloads of a chat completions stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    origin: Origin,
    started: bool,
    ended: bool,
    numbers: PartNumbers,
    open: Option<Open>,
    calls: Calls,
    finish: Option<String>,
    usage: Usage,
    extras: Map<String, Value>,
    /// Choices besides the first have come.
    others: bool,
    /// An error that came together with content: the content goes first.
    failure: Option<Error>,
}

/// The part that text is appended to now.
#[derive(Debug)]
struct Open {
    index: u32,
    kind: Kind,
    text: String,
    annotations: Vec<Value>,
    details: Vec<Value>,
    /// Facts that stay with the part.
    own: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    Refusal,
    Audio,
}

impl StreamDecoder {
    /// Expects the answer of a provider.
    pub fn new(provider: &str) -> Self {
        let origin =
            Origin { api: CHAT_API.to_owned(), provider: provider.to_owned(), ..Origin::default() };
        Self { origin, ..Self::default() }
    }

    /// Whether any choice has come.
    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    fn cut_off(&mut self) -> Error {
        self.ended = true;
        let message = "the provider's stream ended before the answer was complete";
        self.blamed(Error::new(ErrorKind::StreamInterrupted, message))
    }

    /// Takes one chunk.
    pub(super) fn take(&mut self, mut chunk: Map<String, Value>) -> Result<Vec<StreamEvent>> {
        let mut out = Vec::new();
        self.failure = error_in_answer(&mut chunk, &self.origin.provider);
        self.identify(&mut chunk);
        let choices = chunk.shift_remove("choices");
        for choice in choices.into_iter().filter_map(into_list).flatten() {
            self.start(&mut out);
            self.take_choice(choice, &mut out);
        }
        let in_groq = chunk.get_mut("x_groq").and_then(Value::as_object_mut);
        let in_groq = in_groq.and_then(|groq| groq.shift_remove("usage"));
        for raw in [in_groq, chunk.shift_remove("usage")].into_iter().flatten() {
            self.take_usage(&raw, &mut out);
        }
        for padding in ["object", "obfuscation", "p"] {
            chunk.shift_remove(padding);
        }
        chunk.retain(|_, value| !is_void(value));
        merge(&mut self.extras, &chunk);
        if out.is_empty() {
            self.fail()?;
        }
        Ok(out)
    }

    fn fail(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Ends the answer, as `[DONE]` does.
    pub(super) fn complete(&mut self) -> Result<Vec<StreamEvent>> {
        self.ended = true;
        if !self.started {
            return Err(self.protocol("the stream ended without an answer"));
        }
        let mut out = Vec::new();
        self.close(&mut out);
        self.calls.end(&mut self.numbers, &mut out);
        out.push(StreamEvent::Finish {
            finish: finish::decode(self.finish.as_deref(), !self.calls.is_empty()),
            usage: self.usage.clone(),
            extras: extras_of(std::mem::take(&mut self.extras)),
            receipt: None,
        });
        Ok(out)
    }

    fn identify(&mut self, chunk: &mut Map<String, Value>) {
        if let Some(Value::String(id)) = chunk.shift_remove("id")
            && !id.is_empty()
            && self.origin.response_id.is_none()
        {
            self.numbers.of_answer(&id);
            self.origin.response_id = Some(id);
        }
        if let Some(Value::String(model)) = chunk.shift_remove("model")
            && self.origin.model.is_empty()
        {
            self.origin.model = model;
        }
        chunk.shift_remove("created");
    }

    fn start(&mut self, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            let origin = self.origin.clone();
            out.push(StreamEvent::Start { origin, request_id: None, warnings: Vec::new() });
        }
    }

    fn take_choice(&mut self, choice: Value, out: &mut Vec<StreamEvent>) {
        let Value::Object(mut choice) = choice else { return out.push(raw(choice)) };
        // We ask for one choice; whatever else comes is shown, not mixed in.
        if choice.get("index").and_then(Value::as_u64).unwrap_or_default() != 0 {
            self.others = true;
            return out.push(raw(Value::Object(choice)));
        }
        choice.shift_remove("index");
        // Perplexity sends the text so far as `message` beside each delta: reading both doubles it.
        let message = choice.shift_remove("message");
        let delta = choice.shift_remove("delta").filter(Value::is_object).or(message);
        let odds = choice.shift_remove("logprobs");
        let odds = logprobs::decode(odds.as_ref().and_then(|odds| odds.get("content")));
        if let Some(Value::Object(delta)) = delta {
            self.take_delta(delta, odds, out);
        }
        if let Some(text) = choice.shift_remove("text").as_ref().and_then(Value::as_str) {
            self.append(Kind::Text, text, Vec::new(), out);
        }
        let details = choice.shift_remove("finish_details");
        let details = details.as_ref().and_then(|details| details.get("type"));
        let reason = choice.shift_remove("finish_reason");
        if let Some(reason) = reason.as_ref().or(details).and_then(Value::as_str) {
            self.finish = Some(reason.to_owned());
        }
        if let Some(raw) = choice.shift_remove("usage") {
            self.take_usage(&raw, out);
        }
        choice.retain(|_, value| !is_void(value));
        if !choice.is_empty() {
            merge(&mut self.extras, &object([("choice", Some(Value::Object(choice)))]));
        }
    }

    fn take_delta(
        &mut self,
        mut delta: Map<String, Value>,
        odds: Vec<TokenLogprob>,
        out: &mut Vec<StreamEvent>,
    ) {
        delta.shift_remove("role");
        let (thought, details) = reasoning::take(&mut delta);
        self.append(Kind::Reasoning, &thought, Vec::new(), out);
        self.note(Kind::Reasoning, out, details, |open| &mut open.details);
        match delta.shift_remove("content") {
            Some(Value::String(text)) => self.append(Kind::Text, &text, odds, out),
            Some(Value::Array(parts)) => self.take_parts(parts, out),
            _ => {}
        }
        if let Some(Value::String(text)) = delta.shift_remove("refusal") {
            self.append(Kind::Refusal, &text, Vec::new(), out);
        }
        if let Some(Value::Array(annotations)) = delta.shift_remove("annotations") {
            self.note(Kind::Text, out, annotations, |open| &mut open.annotations);
        }
        if let Some(Value::Object(audio)) = delta.shift_remove("audio") {
            self.take_audio(audio, out);
        }
        for image in delta.shift_remove("images").into_iter().filter_map(into_list).flatten() {
            self.take_image(&image, out);
        }
        let legacy = delta.shift_remove("function_call").filter(Value::is_object);
        let legacy = legacy.map(|call| Value::Object(object([("function", Some(call))])));
        let calls = delta.shift_remove("tool_calls").and_then(into_list).unwrap_or_default();
        for call in calls.into_iter().chain(legacy) {
            self.close(out);
            self.calls.push(&call, &mut self.numbers, out);
        }
        delta.retain(|_, value| !is_void(value));
        if !delta.is_empty() {
            out.push(raw(Value::Object(object([("delta", Some(Value::Object(delta)))]))));
        }
    }

    /// Mistral's content lists.
    fn take_parts(&mut self, parts: Vec<Value>, out: &mut Vec<StreamEvent>) {
        for part in parts {
            if let Some(thought) = reasoning::of_part(&part) {
                self.append(Kind::Reasoning, &thought, Vec::new(), out);
            } else if let Some(text) = part.get("text").and_then(Value::as_str) {
                self.append(Kind::Text, text, Vec::new(), out);
            } else {
                out.push(raw(part));
            }
        }
    }

    fn take_audio(&mut self, mut audio: Map<String, Value>, out: &mut Vec<StreamEvent>) {
        let data = audio.shift_remove("data");
        let open = self.open_part(Kind::Audio, out);
        let said = audio.shift_remove("transcript");
        if let Some(said) = said.as_ref().and_then(Value::as_str) {
            match open.own.get_mut("transcript") {
                Some(Value::String(before)) => before.push_str(said),
                _ => merge(&mut open.own, &object([("transcript", Some(said.into()))])),
            }
        }
        merge(&mut open.own, &audio);
        if let Some(data) = data.as_ref().and_then(Value::as_str).filter(|data| !data.is_empty()) {
            out.push(StreamEvent::delta(open.index, data));
        }
    }

    fn take_image(&mut self, image: &Value, out: &mut Vec<StreamEvent>) {
        let url = image.get("image_url").and_then(|image| image.get("url"));
        let Some(url) = url.and_then(Value::as_str) else { return out.push(raw(image.clone())) };
        self.close(out);
        let index = self.numbers.next();
        let part = Part::Media(media::image(url, Extras::new()));
        out.extend([StreamEvent::PartStart { index, part }, StreamEvent::part_end(index)]);
    }

    fn take_usage(&mut self, raw: &Value, out: &mut Vec<StreamEvent>) {
        let Some((usage, rest)) = usage::decode(raw) else { return };
        if !rest.is_empty() {
            self.extras.insert("usage".to_owned(), Value::Object(rest));
        }
        if usage != self.usage && self.started {
            out.push(StreamEvent::Usage { usage: usage.clone() });
        }
        self.usage = usage;
    }

    fn append(
        &mut self,
        kind: Kind,
        text: &str,
        odds: Vec<TokenLogprob>,
        out: &mut Vec<StreamEvent>,
    ) {
        if text.is_empty() && odds.is_empty() {
            return;
        }
        let open = self.open_part(kind, out);
        open.text.push_str(text);
        let delta = text.to_owned();
        out.push(StreamEvent::PartDelta { index: open.index, delta, logprobs: odds });
    }

    /// Keeps facts about a part until it ends.
    fn note(
        &mut self,
        kind: Kind,
        out: &mut Vec<StreamEvent>,
        facts: Vec<Value>,
        place: impl FnOnce(&mut Open) -> &mut Vec<Value>,
    ) {
        if !facts.is_empty() {
            reasoning::add_details(place(self.open_part(kind, out)), facts);
        }
    }

    /// The part of a kind that is open now; another one that is open ends first.
    fn open_part(&mut self, kind: Kind, out: &mut Vec<StreamEvent>) -> &mut Open {
        if self.open.as_ref().is_some_and(|open| open.kind != kind) {
            self.close(out);
        }
        self.open.get_or_insert_with(|| {
            self.calls.announce(&mut self.numbers, out);
            let index = self.numbers.next();
            let part = match kind {
                Kind::Text => Part::text(""),
                Kind::Reasoning => Part::Reasoning(Reasoning::default()),
                Kind::Refusal => Part::Refusal(Refusal::default()),
                Kind::Audio => Part::Media(media::reply_audio()),
            };
            out.push(StreamEvent::PartStart { index, part });
            Open {
                index,
                kind,
                text: String::new(),
                annotations: Vec::new(),
                details: Vec::new(),
                own: Map::new(),
            }
        })
    }

    fn close(&mut self, out: &mut Vec<StreamEvent>) {
        let Some(mut open) = self.open.take() else { return };
        if !open.details.is_empty() {
            open.own.insert("reasoning_details".to_owned(), Value::Array(open.details));
        }
        out.push(StreamEvent::PartEnd {
            index: open.index,
            signature: None,
            citations: citation::decode(&open.annotations, &open.text),
            extras: extras_of(open.own),
        });
    }

    fn protocol(&self, message: impl Into<String>) -> Error {
        self.blamed(Error::new(ErrorKind::Protocol, message))
    }

    fn blamed(&self, error: Error) -> Error {
        error.with(|body| {
            body.provider = Some(self.origin.provider.clone());
            body.upstream_request_id.clone_from(&self.origin.response_id);
        })
    }
}

impl Decoder for StreamDecoder {
    fn push(&mut self, payload: &str) -> Result<Vec<StreamEvent>> {
        self.fail()?;
        let payload = payload.trim();
        if self.ended || payload.is_empty() {
            return Ok(Vec::new());
        }
        if payload == "[DONE]" {
            // A gateway whose host died says so too: half an answer is no answer.
            let whole = self.finish.is_some() || !self.calls.is_empty() || !self.started;
            return if whole { self.complete() } else { Err(self.cut_off()) };
        }
        if let Some(events) = self.take_plain(payload) {
            return Ok(events);
        }
        match serde_json::from_str(payload) {
            Ok(Value::Object(chunk)) => self.take(chunk),
            Ok(_) => Err(self.protocol("the stream holds something that is not an object")),
            Err(cause) => {
                let message = format!("the stream holds something that is not JSON: {cause}");
                Err(self.protocol(message).with_source(cause))
            }
        }
    }

    /// Without `[DONE]` the answer is whole if a finish reason came.
    fn end(&mut self) -> Result<Vec<StreamEvent>> {
        self.fail()?;
        if self.ended {
            return Ok(Vec::new());
        }
        if self.finish.is_none() {
            return Err(self.cut_off());
        }
        self.complete()
    }

    fn is_done(&self) -> bool {
        self.ended
    }

    fn is_closing(&self) -> bool {
        self.ended || (self.finish.is_some() && !self.others)
    }
}

fn raw(value: Value) -> StreamEvent {
    StreamEvent::Raw { api: CHAT_API.to_owned(), value }
}

fn into_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

/// Whether a field says nothing.
fn is_void(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
