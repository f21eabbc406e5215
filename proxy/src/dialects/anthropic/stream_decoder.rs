//! Events of a streamed message to common events. Whole answers take the same way, so that both say
//! the same.
//!
//! Real streams differ from the simple picture in ways that each have a test: a ping anywhere, a
//! placeholder count at the start that the end replaces, a second `message_start` of a gateway that
//! asked again, calls without any arguments, blocks that nobody models, `[DONE]`.

use serde_json::{Map, Value};
use tollgate_types::{Error, ErrorKind, NativeItem, Origin, Part, Result, StreamEvent, Usage};

use super::{
    API, blocks, citation, extras_of, finish,
    open_block::{Kind, Open, grow, mended},
    usage,
};
use crate::dialects::{
    merge::{merge, object},
    stream::Decoder,
    upstream_error::error_within,
};

/// Reads the `data:` payloads of a messages stream.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    origin: Origin,
    started: bool,
    ended: bool,
    open: Vec<Open>,
    next: u32,
    wants_tools: bool,
    stop: Option<String>,
    /// The usage object so far: later reports replace earlier ones, field by field.
    reported: Map<String, Value>,
    /// Facts of the answer.
    own: Map<String, Value>,
}

impl StreamDecoder {
    /// Expects the answer of a provider.
    pub fn new(provider: &str) -> Self {
        let origin =
            Origin { api: API.to_owned(), provider: provider.to_owned(), ..Origin::default() };
        Self { origin, ..Self::default() }
    }

    /// Takes a whole answer.
    pub(super) fn take_whole(
        &mut self,
        mut message: Map<String, Value>,
    ) -> Result<Vec<StreamEvent>> {
        let content = match message.shift_remove("content") {
            Some(Value::Array(content)) => content,
            _ => return Err(self.protocol("the provider's answer holds no content")),
        };
        let mut out = self.begin(message);
        for (n, block) in (0u64..).zip(content) {
            self.block_start(Some(n), block, &mut out);
            self.block_stop(Some(n), &mut out);
        }
        out.extend(self.complete());
        Ok(out)
    }

    fn take(&mut self, mut event: Map<String, Value>) -> Result<Vec<StreamEvent>> {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let block = event.get("index").and_then(Value::as_u64);
        let mut out = Vec::new();
        match kind.as_str() {
            "ping" => {}
            "message_start" => {
                let Some(Value::Object(mut message)) = event.shift_remove("message") else {
                    return Err(self.protocol("message_start holds no message"));
                };
                let content = message.shift_remove("content");
                out = self.begin(message);
                let content = content.and_then(|c| c.as_array().cloned()).unwrap_or_default();
                for (n, block) in (0u64..).zip(content) {
                    self.block_start(Some(n), block, &mut out);
                }
            }
            "error" => return Err(self.announced(&Value::Object(event))),
            _ if event.get("error").is_some_and(|error| !error.is_null()) => {
                return Err(self.announced(&Value::Object(event)));
            }
            _ if !self.started && kind.starts_with("content_block") => {
                return Err(self.protocol("the stream does not begin with message_start"));
            }
            _ if !self.started => {}
            "content_block_start" => {
                let content = event.shift_remove("content_block").unwrap_or_default();
                self.block_start(block, content, &mut out);
            }
            "content_block_delta" => {
                let delta = event.shift_remove("delta").unwrap_or_default();
                self.block_delta(block, delta, &mut out);
            }
            "content_block_stop" => self.block_stop(block, &mut out),
            "message_delta" => self.message_delta(event, &mut out),
            "message_stop" => {
                self.take_usage(event.shift_remove("usage"), &mut out);
                out.extend(self.complete());
            }
            _ => out.push(raw(Value::Object(event))),
        }
        Ok(out)
    }

    /// The answer begins. One that begins again replaces what came before: a gateway asked again.
    fn begin(&mut self, mut message: Map<String, Value>) -> Vec<StreamEvent> {
        let word = |value: Option<Value>| Some(value?.as_str()?.to_owned());
        let again = Self {
            origin: Origin {
                model: word(message.shift_remove("model")).unwrap_or_default(),
                response_id: word(message.shift_remove("id")),
                ..std::mem::take(&mut self.origin)
            },
            started: true,
            stop: word(message.shift_remove("stop_reason")),
            ..Self::default()
        };
        *self = again;
        let origin = self.origin.clone();
        let mut out = vec![StreamEvent::Start { origin, request_id: None, warnings: Vec::new() }];
        self.take_usage(message.shift_remove("usage"), &mut out);
        for known in ["type", "role"] {
            message.shift_remove(known);
        }
        self.keep(message);
        out
    }

    /// Keeps facts of the answer that have no common meaning.
    fn keep(&mut self, mut facts: Map<String, Value>) {
        facts.retain(|_, value| !value.is_null());
        merge(&mut self.own, &facts);
    }

    fn block_start(&mut self, block: Option<u64>, content: Value, out: &mut Vec<StreamEvent>) {
        self.block_stop(block, out);
        let index = self.next;
        self.next = self.next.saturating_add(1);
        let content = mended(self.origin.response_id.as_deref(), index, content);
        let path = format!("content[{index}]");
        let part = blocks::decode((path, content.clone()))
            .unwrap_or_else(|_| Part::Native(NativeItem { api: API.to_owned(), item: content }));
        self.wants_tools |= matches!(&part, Part::ToolCall(call) if !call.hosted);
        let (kind, part) = Kind::of(part);
        if let Some(part) = part {
            out.push(StreamEvent::PartStart { index, part });
        }
        self.open.push(Open { block, index, kind });
    }

    fn block_delta(&mut self, block: Option<u64>, delta: Value, out: &mut Vec<StreamEvent>) {
        let kind = delta.get("type").and_then(Value::as_str).unwrap_or_default();
        let known = match kind {
            "text_delta" => Some(("text", "text")),
            "thinking_delta" => Some(("thinking", "thinking")),
            _ => None,
        };
        let is_open = self.open.iter().any(|open| open.block == block);
        if let (false, Some((kind, _))) = (is_open, known) {
            // A gateway that leaves the beginning of a block out still means its text.
            self.block_start(block, Value::Object(object([("type", Some(kind.into()))])), out);
        }
        let word = |key: &str| delta.get(key).and_then(Value::as_str).unwrap_or_default();
        let open = self.open.iter_mut().find(|open| open.block == block);
        let Some(Open { index, kind: open, .. }) = open else {
            return out.push(raw(of_block(block, delta)));
        };
        let piece = match (kind, open) {
            ("text_delta", Kind::Text { bytes, .. }) => {
                *bytes = bytes.saturating_add(word("text").len());
                word("text")
            }
            ("thinking_delta", Kind::Reasoning { .. }) => word("thinking"),
            ("signature_delta", Kind::Reasoning { signature }) => {
                *signature = Some(word("signature").to_owned()).filter(|text| !text.is_empty());
                return;
            }
            ("citations_delta", Kind::Text { citations, .. }) => {
                citations.extend(delta.get("citation").cloned());
                return;
            }
            ("input_json_delta", Kind::Call { any, .. }) => {
                *any |= !word("partial_json").is_empty();
                word("partial_json")
            }
            (_, Kind::Native { item }) => return grow(item, &delta),
            _ => return out.push(raw(of_block(block, delta))),
        };
        if !piece.is_empty() {
            out.push(StreamEvent::delta(*index, piece));
        }
    }

    fn block_stop(&mut self, block: Option<u64>, out: &mut Vec<StreamEvent>) {
        let Some(at) = self.open.iter().position(|open| open.block == block) else { return };
        let Open { index, kind, .. } = self.open.remove(at);
        let mut end = StreamEvent::part_end(index);
        match kind {
            Kind::Text { bytes, citations: stated } => {
                if let StreamEvent::PartEnd { citations, .. } = &mut end {
                    *citations = citation::decode(&stated, bytes);
                }
            }
            Kind::Reasoning { signature: stated } => {
                if let StreamEvent::PartEnd { signature, .. } = &mut end {
                    *signature = stated;
                }
            }
            Kind::Call { input, any: false } => out.push(StreamEvent::delta(index, input)),
            Kind::Native { item } => {
                let part = Part::Native(NativeItem { api: API.to_owned(), item });
                out.push(StreamEvent::PartStart { index, part });
            }
            Kind::Call { .. } | Kind::Closed => {}
        }
        out.push(end);
    }

    fn message_delta(&mut self, mut event: Map<String, Value>, out: &mut Vec<StreamEvent>) {
        if let Some(Value::Object(mut delta)) = event.shift_remove("delta") {
            if let Some(Value::String(reason)) = delta.shift_remove("stop_reason") {
                self.stop = Some(reason);
            }
            self.keep(delta);
        }
        self.take_usage(event.shift_remove("usage"), out);
        event.shift_remove("type");
        self.keep(event);
    }

    /// Takes a report of usage. The end's may lack what the start's had, and may raise it.
    fn take_usage(&mut self, report: Option<Value>, out: &mut Vec<StreamEvent>) {
        let Some(Value::Object(mut report)) = report else { return };
        report.retain(|_, value| !value.is_null());
        if !report.is_empty() {
            self.reported.extend(report);
            out.push(StreamEvent::Usage { usage: self.usage().0 });
        }
    }

    fn usage(&self) -> (Usage, Map<String, Value>) {
        usage::decode(&Value::Object(self.reported.clone())).unwrap_or_default()
    }

    /// Ends the answer, as `message_stop` does.
    fn complete(&mut self) -> Vec<StreamEvent> {
        self.ended = true;
        let mut out = Vec::new();
        while let Some(block) = self.open.first().map(|open| open.block) {
            self.block_stop(block, &mut out);
        }
        let (usage, rest) = self.usage();
        let mut own = std::mem::take(&mut self.own);
        if !rest.is_empty() {
            own.insert("usage".to_owned(), Value::Object(rest));
        }
        out.push(StreamEvent::Finish {
            finish: finish::decode(self.stop.as_deref(), self.wants_tools),
            usage,
            extras: extras_of(own),
            receipt: None,
        });
        out
    }

    /// An error that the provider put into the stream.
    fn announced(&mut self, said: &Value) -> Error {
        self.ended = true;
        let id = said.get("request_id").and_then(Value::as_str).map(str::to_owned);
        let error = error_within(said, &self.origin.provider);
        let error = error.unwrap_or_else(|| {
            self.blamed(Error::new(ErrorKind::Upstream, "the provider failed without saying why"))
        });
        error.with(|body| body.upstream_request_id = id.or(body.upstream_request_id.take()))
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
        let payload = payload.trim();
        // Some compatible gateways end as OpenAI does; Anthropic says itself when it is done.
        if self.ended || payload.is_empty() || payload == "[DONE]" {
            return Ok(Vec::new());
        }
        match serde_json::from_str(payload) {
            Ok(Value::Object(event)) => self.take(event),
            Ok(_) => Err(self.protocol("the stream holds something that is not an object")),
            Err(cause) => {
                let message = format!("the stream holds something that is not JSON: {cause}");
                Err(self.protocol(message).with_source(cause))
            }
        }
    }

    /// Without `message_stop` the answer is whole if the provider said why it stops.
    fn end(&mut self) -> Result<Vec<StreamEvent>> {
        if self.ended {
            return Ok(Vec::new());
        }
        if self.stop.is_none() {
            self.ended = true;
            let message = "the provider's stream ended before the answer was complete";
            return Err(self.blamed(Error::new(ErrorKind::StreamInterrupted, message)));
        }
        Ok(self.complete())
    }

    fn is_done(&self) -> bool {
        self.ended
    }

    fn is_closing(&self) -> bool {
        self.ended || self.stop.is_some()
    }
}

fn of_block(block: Option<u64>, delta: Value) -> Value {
    Value::Object(object([
        ("type", Some("content_block_delta".into())),
        ("index", block.map(Value::from)),
        ("delta", Some(delta)),
    ]))
}

fn raw(value: Value) -> StreamEvent {
    StreamEvent::Raw { api: API.to_owned(), value }
}
