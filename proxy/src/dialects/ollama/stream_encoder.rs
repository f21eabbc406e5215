//! Events to the lines of a streamed answer, as Ollama's clients accept them.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tollgate_types::{
    Error, Extras, Finish, Media, MediaSource, Part, StreamEvent, ToolCall, Usage,
};

use super::{Api, NAMESPACE, encode_error, finish, said::Said, usage};
use crate::dialects::{
    merge::{merge, object},
    stream::ReplyHead,
};

/// Writes the lines of one answer. The HTTP layer ends each with a line break.
#[derive(Debug)]
pub struct StreamEncoder {
    api: Api,
    head: ReplyHead,
    made_by_ollama: bool,
    parts: BTreeMap<u32, Slot>,
    calls: usize,
}

/// What a part's deltas become.
#[derive(Debug)]
enum Slot {
    Text,
    Thinking,
    /// A call is sent whole: its arguments are an object.
    Call(ToolCall),
    /// So is an image.
    Image(Media),
    /// The format has no place for it.
    Silent,
}

impl StreamEncoder {
    /// Writes an answer under a head, of which the id has no place.
    pub fn new(head: ReplyHead, api: Api) -> Self {
        Self { api, head, made_by_ollama: false, parts: BTreeMap::new(), calls: 0 }
    }

    /// The lines that an event becomes.
    pub fn push(&mut self, event: &StreamEvent) -> Vec<Value> {
        match event {
            StreamEvent::Start { origin, .. } => {
                *self = Self::new(std::mem::take(&mut self.head), self.api).made_by(&origin.api);
                Vec::new()
            }
            StreamEvent::PartStart { index, part } => self.part_start(*index, part),
            StreamEvent::PartDelta { index, delta, logprobs } => {
                let mut said = Said::default();
                match self.parts.get_mut(index) {
                    Some(Slot::Text) => {
                        said.content.clone_from(delta);
                        said.logprobs.clone_from(logprobs);
                    }
                    Some(Slot::Thinking) => said.thinking.clone_from(delta),
                    Some(Slot::Call(call)) => call.arguments.push_str(delta),
                    Some(Slot::Image(Media { source: MediaSource::Base64(data), .. })) => {
                        data.push_str(delta);
                    }
                    Some(Slot::Image(_) | Slot::Silent) | None => {}
                }
                self.line(said)
            }
            StreamEvent::PartEnd { index, .. } => self.part_end(*index),
            StreamEvent::Raw { api, value: Value::Object(fields) } if api == self.api.name() => {
                vec![self.write(fields.clone())]
            }
            StreamEvent::Finish { finish, usage, extras, .. } => {
                let open: Vec<u32> = self.parts.keys().copied().collect();
                let mut lines: Vec<Value> =
                    open.into_iter().flat_map(|index| self.part_end(index)).collect();
                lines.push(self.end(Said::default(), finish, usage, extras));
                lines
            }
            StreamEvent::Error { error } => vec![self.error(error)],
            _ => Vec::new(),
        }
    }

    /// The line that reports an error inside a stream; nothing follows it.
    pub fn error(&self, error: &Error) -> Value {
        encode_error(error)
    }

    /// The last line: what is left to say, why the answer ends, the counts.
    pub(super) fn end(&self, said: Said, finish: &Finish, used: &Usage, extras: &Extras) -> Value {
        let mut line = said.write(self.api);
        let reason = finish::encode(finish, self.made_by_ollama);
        line.insert("done".to_owned(), Value::Bool(true));
        line.insert("done_reason".to_owned(), reason.into());
        if let Some(own) = extras.get(NAMESPACE) {
            merge(&mut line, own);
        }
        merge(&mut line, &usage::encode(used));
        self.write(line)
    }

    /// Who answers decides which words of the end are kept.
    pub(super) fn made_by(mut self, api: &str) -> Self {
        self.made_by_ollama = api.starts_with("ollama.");
        self
    }

    fn part_start(&mut self, index: u32, part: &Part) -> Vec<Value> {
        let slot = match part {
            Part::Text(_) | Part::Refusal(_) => Slot::Text,
            Part::Reasoning(_) => Slot::Thinking,
            Part::ToolCall(call) => Slot::Call(call.clone()),
            Part::Media(media) => Slot::Image(media.clone()),
            Part::ToolResult(_) | Part::Native(_) => Slot::Silent,
        };
        let mut said = Said::default();
        if matches!(slot, Slot::Text | Slot::Thinking) {
            said.add(part);
        }
        self.parts.insert(index, slot);
        self.line(said)
    }

    fn part_end(&mut self, index: u32) -> Vec<Value> {
        let mut said = Said::default();
        match self.parts.remove(&index) {
            Some(Slot::Call(call)) => {
                said.add_call(&call, self.calls);
                self.calls += 1;
            }
            Some(Slot::Image(image)) => said.add(&Part::Media(image)),
            Some(Slot::Text | Slot::Thinking | Slot::Silent) | None => {}
        }
        self.line(said)
    }

    /// A line that says something; none when there is nothing to say.
    fn line(&self, said: Said) -> Vec<Value> {
        if said.is_empty() { Vec::new() } else { vec![self.write(said.write(self.api))] }
    }

    fn write(&self, fields: Map<String, Value>) -> Value {
        let mut line = object([
            ("model", Some(self.head.model.as_str().into())),
            ("created_at", Some(moment(self.head.created_s).into())),
        ]);
        merge(&mut line, &fields);
        line.entry("done").or_insert(Value::Bool(false));
        Value::Object(line)
    }
}

/// A moment as Go's clients read it.
fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}
