//! Chunks of a streamed answer to events. Whole answers take the same way, as one chunk, so that
//! both say the same.
//!
//! Each chunk is a whole response object; parts of a chunk continue those before. What real traffic
//! does has a test each: usage on every chunk, finish reasons on several, signatures on texts that
//! are empty, calls in pieces, errors in the middle, and no end but the connection's.

use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, ops::Range};
use tollgate_types::{
    Error, ErrorKind, Extras, NativeItem, Origin, Part, Reasoning, Result, StreamEvent, Text,
    TokenLogprob, Usage,
};

use super::{
    API,
    calls::{self, OpenCall, PartNumbers},
    extras_of, finish, grounding, logprobs, media, usage,
};
use crate::dialects::{
    merge::{merge, object},
    stream::Decoder,
    upstream_error::error_within,
};

/// Reads the `data:` payloads of a streamGenerateContent answer.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    origin: Origin,
    started: bool,
    ended: bool,
    numbers: PartNumbers,
    open: Option<Open>,
    call: Option<OpenCall>,
    /// An empty text with a signature. It waits for what follows, because sources of the text
    /// before it may still come.
    waiting: Option<Text>,
    /// All visible text.
    said: String,
    finish: Option<String>,
    blocked: Option<String>,
    usage: Usage,
    usage_fields: Map<String, Value>,
    searches: grounding::Searches,
    candidate: Map<String, Value>,
    top: Map<String, Value>,
    /// Candidates besides the first, and whether they are complete.
    others: BTreeMap<u64, bool>,
    /// An error that came together with content: the content goes first.
    failure: Option<Error>,
}

/// The part that text is appended to now.
#[derive(Debug)]
struct Open {
    index: u32,
    kind: Kind,
    /// Where its text begins in all text.
    begin: usize,
    /// It came with a signature: what follows is another part.
    sealed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
}

impl StreamDecoder {
    /// Expects the answer of a provider.
    pub fn new(provider: &str) -> Self {
        let origin =
            Origin { api: API.to_owned(), provider: provider.to_owned(), ..Origin::default() };
        Self { origin, ..Self::default() }
    }

    /// Whether anything of an answer has come.
    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    /// Takes one chunk.
    pub(super) fn take(&mut self, mut chunk: Map<String, Value>) -> Result<Vec<StreamEvent>> {
        let mut out = Vec::new();
        if let Some(error) = chunk.shift_remove("error").filter(|error| !error.is_null()) {
            self.failure = error_within(&json!({"error": error}), &self.origin.provider);
        }
        self.identify(&mut chunk);
        let known = ["candidates", "usageMetadata", "promptFeedback"];
        if known.iter().any(|key| chunk.contains_key(*key)) {
            self.start(&mut out);
        }
        if let Some(Value::Array(candidates)) = chunk.shift_remove("candidates") {
            for candidate in candidates {
                self.take_candidate(candidate, &mut out)?;
            }
        }
        if let Some(Value::Object(raw)) = chunk.shift_remove("usageMetadata") {
            self.take_usage(raw, &mut out);
        }
        let blocked = chunk.get("promptFeedback").and_then(|feedback| feedback.get("blockReason"));
        if let Some(reason) = blocked.and_then(finish::word) {
            self.blocked = Some(reason);
        }
        merge(&mut self.top, &chunk);
        if out.is_empty() {
            self.fail()?;
        }
        Ok(out)
    }

    fn fail(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Ends the answer.
    pub(super) fn complete(&mut self) -> Result<Vec<StreamEvent>> {
        self.fail()?;
        self.ended = true;
        if !self.started {
            return Err(self.error(ErrorKind::Protocol, "the provider's answer is empty"));
        }
        let mut out = Vec::new();
        calls::end(&mut self.call, &mut out);
        let citations = self.open.as_ref().filter(|open| open.kind == Kind::Text).map(|open| {
            let part: Range<usize> = open.begin..self.said.len();
            grounding::decode(&self.candidate, &self.said, &part)
        });
        self.close(citations.unwrap_or_default(), &mut out);
        self.tell_waiting(&mut out);
        let raw = self.finish.as_deref().or(self.blocked.as_deref());
        let mut end = finish::decode(raw, self.numbers.any_call());
        if self.finish.is_none() && self.blocked.is_some() {
            end.reason = tollgate_types::FinishReason::ContentFilter;
        }
        out.push(StreamEvent::Finish {
            finish: end,
            usage: self.used(),
            extras: self.own(),
            receipt: None,
        });
        Ok(out)
    }

    /// What the answer tells besides: of its candidate, of its usage, of itself.
    fn own(&mut self) -> Extras {
        let (_, usage) = usage::decode(&self.usage_fields);
        let section = |map: Map<String, Value>| (!map.is_empty()).then_some(Value::Object(map));
        let mut own = object([
            ("candidate", section(std::mem::take(&mut self.candidate))),
            ("usage", section(usage)),
        ]);
        merge(&mut own, &std::mem::take(&mut self.top));
        extras_of(own)
    }

    fn identify(&mut self, chunk: &mut Map<String, Value>) {
        if let Some(Value::String(id)) = chunk.shift_remove("responseId")
            && !id.is_empty()
            && self.origin.response_id.is_none()
        {
            self.numbers.of_answer(&id);
            self.origin.response_id = Some(id);
        }
        if let Some(Value::String(model)) = chunk.shift_remove("modelVersion")
            && self.origin.model.is_empty()
        {
            self.origin.model = model;
        }
    }

    fn start(&mut self, out: &mut Vec<StreamEvent>) {
        if !std::mem::replace(&mut self.started, true) {
            let origin = self.origin.clone();
            out.push(StreamEvent::Start { origin, request_id: None, warnings: Vec::new() });
        }
    }

    fn take_candidate(&mut self, candidate: Value, out: &mut Vec<StreamEvent>) -> Result<()> {
        let Value::Object(mut fields) = candidate else {
            out.push(raw(candidate));
            return Ok(());
        };
        let index = fields.get("index").and_then(Value::as_u64).unwrap_or_default();
        let reason = fields.get("finishReason").and_then(finish::word);
        // We ask for one candidate; whatever else comes is shown, not mixed in.
        if index != 0 {
            *self.others.entry(index).or_default() |= reason.is_some();
            out.push(raw(Value::Object(fields)));
            return Ok(());
        }
        fields.shift_remove("index");
        fields.shift_remove("finishReason");
        let content = fields.shift_remove("content");
        let parts = match content {
            Some(Value::Object(mut content)) => content.shift_remove("parts"),
            _ => None,
        };
        let mut odds = fields.get("logprobsResult").map(logprobs::decode).unwrap_or_default();
        let any_odds = !odds.is_empty();
        for part in parts.into_iter().filter_map(into_list).flatten() {
            self.take_part(part, &mut odds, out)?;
        }
        if any_odds && odds.is_empty() {
            fields.shift_remove("logprobsResult");
        }
        if reason.is_some() {
            self.finish = reason;
        }
        fields.retain(|_, value| !value.is_null());
        self.searches.see(&fields);
        merge(&mut self.candidate, &fields);
        Ok(())
    }

    fn take_part(
        &mut self,
        part: Value,
        odds: &mut Vec<TokenLogprob>,
        out: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        let Value::Object(mut part) = part else {
            out.push(raw(part));
            return Ok(());
        };
        if let Some(call) = part.shift_remove("functionCall") {
            self.settle(out);
            if !calls::take((call, part), &mut self.call, &mut self.numbers, out) {
                let message = "a call's arguments come in pieces that have no place";
                return Err(self.error(ErrorKind::Protocol, message));
            }
            return Ok(());
        }
        if let Some(Value::String(text)) = part.get("text").cloned() {
            part.shift_remove("text");
            self.take_text(text, part, odds, out);
            return Ok(());
        }
        let item = part.clone();
        let part = match media::take(&mut part) {
            Some(mut media) => {
                media.extras = extras_of(part);
                Part::Media(media)
            }
            None => Part::Native(NativeItem { api: API.to_owned(), item: Value::Object(item) }),
        };
        calls::end(&mut self.call, out);
        self.settle(out);
        let index = self.numbers.next();
        out.extend([StreamEvent::PartStart { index, part }, StreamEvent::part_end(index)]);
        Ok(())
    }

    fn take_text(
        &mut self,
        text: String,
        mut own: Map<String, Value>,
        odds: &mut Vec<TokenLogprob>,
        out: &mut Vec<StreamEvent>,
    ) {
        own.retain(|_, value| !value.is_null());
        let is_thought = own.shift_remove("thought") == Some(Value::Bool(true));
        let kind = if is_thought { Kind::Reasoning } else { Kind::Text };
        let signed = !own.is_empty();
        let odds = if is_thought { Vec::new() } else { std::mem::take(odds) };
        if text.is_empty() && !signed && odds.is_empty() {
            return;
        }
        calls::end(&mut self.call, out);
        if text.is_empty() && signed && kind == Kind::Text && odds.is_empty() {
            self.tell_waiting(out);
            self.waiting = Some(Text { extras: extras_of(own), ..Text::default() });
            return;
        }
        let goes_on = !signed
            && self.waiting.is_none()
            && self.open.as_ref().is_some_and(|open| open.kind == kind && !open.sealed);
        let begin = self.said.len();
        if kind == Kind::Text {
            self.said.push_str(&text);
        }
        if !goes_on {
            self.settle(out);
            let index = self.numbers.next();
            self.open = Some(Open { index, kind, begin, sealed: signed });
            if signed {
                // Told at once: a signature belongs to the whole text beside it.
                out.push(StreamEvent::PartStart { index, part: part(kind, text, odds, own) });
                return;
            }
            let part = part(kind, String::new(), Vec::new(), own);
            out.push(StreamEvent::PartStart { index, part });
        }
        if let Some(open) = &self.open {
            let index = open.index;
            out.push(StreamEvent::PartDelta { index, delta: text, logprobs: odds });
        }
    }

    /// Ends what is open, because another part begins.
    fn settle(&mut self, out: &mut Vec<StreamEvent>) {
        self.close(Vec::new(), out);
        self.tell_waiting(out);
    }

    fn close(&mut self, citations: Vec<tollgate_types::Citation>, out: &mut Vec<StreamEvent>) {
        if let Some(Open { index, .. }) = self.open.take() {
            let extras = Extras::new();
            out.push(StreamEvent::PartEnd { index, signature: None, citations, extras });
        }
    }

    fn tell_waiting(&mut self, out: &mut Vec<StreamEvent>) {
        let Some(text) = self.waiting.take() else { return };
        self.close(Vec::new(), out);
        let index = self.numbers.next();
        let part = Part::Text(text);
        out.extend([StreamEvent::PartStart { index, part }, StreamEvent::part_end(index)]);
    }

    /// Counts are cumulative: each replaces the one before. A chunk that leaves a count out does
    /// not take it back.
    fn take_usage(&mut self, raw: Map<String, Value>, out: &mut Vec<StreamEvent>) {
        self.usage_fields.extend(raw);
        let (usage, _) = usage::decode(&self.usage_fields);
        let is_news = usage != self.usage;
        self.usage = usage;
        if is_news {
            out.push(StreamEvent::Usage { usage: self.used() });
        }
    }

    /// What was used, with the searches; nothing reported stays nothing.
    fn used(&self) -> Usage {
        if self.usage.is_empty() {
            return Usage::default();
        }
        Usage { tool_fees: self.searches.fees(), ..self.usage.clone() }
    }

    fn cut_off(&mut self) -> Error {
        self.ended = true;
        let message = "the provider's stream ended before the answer was complete";
        self.error(ErrorKind::StreamInterrupted, message)
    }

    /// Ends the answer if the provider has said why it stops.
    pub(super) fn complete_if_finished(&mut self) -> Result<Vec<StreamEvent>> {
        self.fail()?;
        if self.finish.is_none() && self.blocked.is_none() {
            return Err(self.cut_off());
        }
        self.complete()
    }

    fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).with(|body| {
            body.provider = Some(self.origin.provider.clone());
            body.upstream_request_id.clone_from(&self.origin.response_id);
        })
    }
}

impl Decoder for StreamDecoder {
    fn push(&mut self, payload: &str) -> Result<Vec<StreamEvent>> {
        self.fail()?;
        let payload = payload.trim();
        if self.ended || payload.is_empty() || payload == "[DONE]" {
            return Ok(Vec::new());
        }
        match serde_json::from_str(payload) {
            Ok(Value::Object(chunk)) => self.take(chunk),
            Ok(_) => {
                let message = "the stream holds something that is not an object";
                Err(self.error(ErrorKind::Protocol, message))
            }
            Err(cause) => {
                let message = format!("the stream holds something that is not JSON: {cause}");
                Err(self.error(ErrorKind::Protocol, message).with_source(cause))
            }
        }
    }

    /// The connection's end is the only one there is; the answer is whole if the provider has said
    /// why it stops.
    fn end(&mut self) -> Result<Vec<StreamEvent>> {
        if self.ended { Ok(Vec::new()) } else { self.complete_if_finished() }
    }

    fn is_done(&self) -> bool {
        self.ended
    }

    fn is_closing(&self) -> bool {
        let finished = self.finish.is_some() || self.blocked.is_some();
        self.ended || (finished && self.others.values().all(|complete| *complete))
    }
}

fn part(kind: Kind, text: String, logprobs: Vec<TokenLogprob>, own: Map<String, Value>) -> Part {
    let extras = extras_of(own);
    match kind {
        Kind::Text => Part::Text(Text { text, logprobs, extras, ..Text::default() }),
        Kind::Reasoning => Part::Reasoning(Reasoning { text, extras, ..Reasoning::default() }),
    }
}

fn raw(value: Value) -> StreamEvent {
    StreamEvent::Raw { api: API.to_owned(), value }
}

fn into_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}
