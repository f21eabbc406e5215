//! Lines of a streamed chat or generate answer to events. Whole answers take the same way, as one
//! line, so that both say the same.
//!
//! Old versions leave out `done_reason` and the last line's message, and no line but the last has
//! counts; an error is a line of its own in an answer that began well.

use serde_json::{Map, Value};
use tollgate_types::{
    Error, ErrorKind, Origin, Part, Reasoning, Result, StreamEvent, TokenLogprob,
};

use super::{Api, extras_of, finish, images, tools, usage};
use crate::dialects::{
    fields::{Fields, numbered},
    merge::{merge, object},
    openai::logprobs,
    stream::Decoder,
    upstream_error::error_within,
};

/// Reads the lines of an answer.
#[derive(Debug)]
pub struct StreamDecoder {
    api: Api,
    origin: Origin,
    started: bool,
    ended: bool,
    next: u32,
    open: Option<(u32, Kind)>,
    calls: usize,
    /// Names calls that came without an id: made of what the answer's first line says.
    answer: String,
    extras: Map<String, Value>,
    /// An error that came together with content: the content goes first.
    failure: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
}

impl StreamDecoder {
    /// Expects the answer of a provider.
    pub fn new(provider: &str, api: Api) -> Self {
        let origin = Origin {
            api: api.name().to_owned(),
            provider: provider.to_owned(),
            ..Origin::default()
        };
        Self {
            api,
            origin,
            started: false,
            ended: false,
            next: 0,
            open: None,
            calls: 0,
            answer: String::new(),
            extras: Map::new(),
            failure: None,
        }
    }

    /// Takes one line.
    pub(super) fn take(&mut self, mut line: Map<String, Value>) -> Result<Vec<StreamEvent>> {
        let mut out = Vec::new();
        if line.get("error").is_some_and(|error| !error.is_null()) {
            let error = error_within(&Value::Object(line.clone()), &self.origin.provider);
            line.shift_remove("error");
            self.failure =
                error.or_else(|| Some(Error::new(ErrorKind::Upstream, "the provider failed")));
        }
        if self.failure.is_none() || self.says_something(&line) {
            self.take_words(&mut line, &mut out)?;
        }
        match self.failure.take() {
            Some(error) if out.is_empty() => return Err(error),
            Some(error) => self.failure = Some(error),
            None => self.take_end(line, &mut out),
        }
        Ok(out)
    }

    fn says_something(&self, line: &Map<String, Value>) -> bool {
        line.contains_key("message") && line.get("message").is_some_and(Value::is_object)
            || line.get(self.api.text_field()).is_some_and(|text| text != "")
    }

    fn take_words(
        &mut self,
        line: &mut Map<String, Value>,
        out: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        self.start(line, out);
        let odds = logprobs::decode(line.shift_remove("logprobs").as_ref());
        // A chat's message stands apart, generate's words among the other fields.
        let mut said = match line.shift_remove("message") {
            Some(Value::Object(message)) => message,
            Some(Value::Null) | None => Map::new(),
            Some(_) => return Err(self.protocol("the provider's message is no object")),
        };
        if let Some(response) = line.shift_remove("response") {
            said.entry("content").or_insert(response);
        }
        for key in ["thinking", "tool_calls", "images", "image"] {
            if let Some(value) = line.shift_remove(key) {
                said.entry(key).or_insert(value);
            }
        }
        self.take_message(said, odds, out)
    }

    fn take_message(
        &mut self,
        mut said: Map<String, Value>,
        odds: Vec<TokenLogprob>,
        out: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        said.shift_remove("role");
        let mut text = |key: &str| match said.shift_remove(key) {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Null) | None => Ok(String::new()),
            Some(_) => Err(self.protocol(format!("the provider's {key} is no text"))),
        };
        let (thinking, content) = (text("thinking")?, text("content")?);
        let (of_thinking, of_content) = if content.is_empty() && !thinking.is_empty() {
            (odds, vec![])
        } else {
            (vec![], odds)
        };
        self.append(Kind::Reasoning, thinking, of_thinking, out);
        self.append(Kind::Text, content, of_content, out);
        let pictures = said.shift_remove("images").and_then(into_list).unwrap_or_default();
        for picture in pictures.into_iter().chain(said.shift_remove("image")) {
            if let Value::String(encoded) = picture {
                self.whole_part(Part::Media(images::of_base64(encoded)), out);
            }
        }
        let calls = said.shift_remove("tool_calls").and_then(into_list).unwrap_or_default();
        for (path, call) in numbered("tool_calls", calls) {
            self.take_call(path, call, out)?;
        }
        said.retain(|_, value| !value.is_null());
        if !said.is_empty() {
            let value = Value::Object(object([("message", Some(said.into()))]));
            out.push(StreamEvent::Raw { api: self.api.name().to_owned(), value });
        }
        Ok(())
    }

    fn take_call(&mut self, path: String, call: Value, out: &mut Vec<StreamEvent>) -> Result<()> {
        let made_up = format!("call_{}_{}", self.answer, self.calls);
        let call = Fields::of(path, call)
            .and_then(|fields| tools::decode_call(fields, || made_up))
            .map_err(|error| self.protocol(error.message()))?;
        self.calls += 1;
        self.whole_part(Part::ToolCall(call), out);
        Ok(())
    }

    fn start(&mut self, line: &mut Map<String, Value>, out: &mut Vec<StreamEvent>) {
        let made = line.shift_remove("created_at");
        let model = line.shift_remove("model");
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        if let Some(Value::String(model)) = model {
            self.origin.model = model;
        }
        let seed = made.as_ref().and_then(Value::as_str).unwrap_or_default();
        self.answer = blake3::hash(seed.as_bytes()).to_hex().chars().take(12).collect();
        let origin = self.origin.clone();
        out.push(StreamEvent::Start { origin, request_id: None, warnings: Vec::new() });
    }

    /// What stands beside the words: on the last line why the answer ends, and the counts.
    fn take_end(&mut self, mut line: Map<String, Value>, out: &mut Vec<StreamEvent>) {
        let done = line.shift_remove("done").is_some_and(|done| done == true);
        line.retain(|_, value| !value.is_null());
        if !done {
            return merge(&mut self.extras, &line);
        }
        let usage = usage::take(&mut line);
        let reason = match line.shift_remove("done_reason") {
            Some(Value::String(reason)) if !reason.is_empty() => Some(reason),
            _ => None,
        };
        merge(&mut self.extras, &line);
        self.close(out);
        self.ended = true;
        out.push(StreamEvent::Finish {
            finish: finish::decode(reason, self.calls > 0),
            usage,
            extras: extras_of(std::mem::take(&mut self.extras)),
            receipt: None,
        });
    }

    fn append(
        &mut self,
        kind: Kind,
        delta: String,
        logprobs: Vec<TokenLogprob>,
        out: &mut Vec<StreamEvent>,
    ) {
        if delta.is_empty() && logprobs.is_empty() {
            return;
        }
        let index = match self.open {
            Some((index, open)) if open == kind => index,
            _ => {
                self.close(out);
                let index = self.number();
                let part = match kind {
                    Kind::Text => Part::text(""),
                    Kind::Reasoning => Part::Reasoning(Reasoning::default()),
                };
                out.push(StreamEvent::PartStart { index, part });
                self.open = Some((index, kind));
                index
            }
        };
        out.push(StreamEvent::PartDelta { index, delta, logprobs });
    }

    fn whole_part(&mut self, part: Part, out: &mut Vec<StreamEvent>) {
        self.close(out);
        let index = self.number();
        out.extend([StreamEvent::PartStart { index, part }, StreamEvent::part_end(index)]);
    }

    fn close(&mut self, out: &mut Vec<StreamEvent>) {
        out.extend(self.open.take().map(|(index, _)| StreamEvent::part_end(index)));
    }

    fn number(&mut self) -> u32 {
        let index = self.next;
        self.next = index.saturating_add(1);
        index
    }

    fn fail(&mut self) -> Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    pub(super) fn protocol(&self, message: impl Into<String>) -> Error {
        self.blamed(Error::new(ErrorKind::Protocol, message))
    }

    fn blamed(&self, error: Error) -> Error {
        error.with(|body| body.provider = Some(self.origin.provider.clone()))
    }
}

impl Decoder for StreamDecoder {
    fn push(&mut self, payload: &str) -> Result<Vec<StreamEvent>> {
        self.fail()?;
        let payload = payload.trim();
        if self.ended || payload.is_empty() {
            return Ok(Vec::new());
        }
        match serde_json::from_str(payload) {
            Ok(Value::Object(line)) => self.take(line),
            Ok(_) => Err(self.protocol("the stream holds something that is not an object")),
            Err(cause) => {
                let message = format!("the stream holds something that is not JSON: {cause}");
                Err(self.protocol(message).with_source(cause))
            }
        }
    }

    fn end(&mut self) -> Result<Vec<StreamEvent>> {
        self.fail()?;
        if self.ended {
            return Ok(Vec::new());
        }
        self.ended = true;
        let message = "the provider's stream ended before the answer was complete";
        Err(self.blamed(Error::new(ErrorKind::StreamInterrupted, message)))
    }

    fn is_done(&self) -> bool {
        self.ended
    }

    fn is_closing(&self) -> bool {
        self.ended
    }
}

fn into_list(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}
