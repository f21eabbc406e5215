//! A response's events to ours. Whole answers take the same way, as one last event, so that both
//! say the same.
//!
//! Real hosts differ from OpenAI in ways that each have a test: the last event repeats no item
//! (ChatGPT's own backend), ids change with each event (Copilot), no events announce items or parts
//! (LM Studio), an error is told twice.

use serde_json::{Map, Value, json};
use tollgate_types::{Error, ErrorKind, Origin, Result, StreamEvent, Usage};

use super::{
    super::logprobs,
    API,
    echo::ECHOED,
    extras_of, finish,
    progress::{Items, Kind},
    usage,
};
use crate::dialects::{stream::Decoder, upstream_error::error_within};

/// Reads the `data:` payloads of a response's stream.
#[derive(Debug, Default)]
pub struct ResponsesDecoder {
    origin: Origin,
    started: bool,
    ended: bool,
    items: Items,
    usage: Usage,
    /// The provider's error, told after what came with it.
    failure: Option<Error>,
}

impl ResponsesDecoder {
    /// Expects the answer of a provider.
    pub fn new(provider: &str) -> Self {
        let origin =
            Origin { api: API.to_owned(), provider: provider.to_owned(), ..Origin::default() };
        Self { origin, ..Self::default() }
    }

    fn take(&mut self, event: &mut Map<String, Value>) -> Result<Vec<StreamEvent>> {
        let mut out = Vec::new();
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "keepalive" | "ping" => {}
            "response.created" | "response.in_progress" | "response.queued" => {
                let response = event.get("response").and_then(Value::as_object);
                self.start(response, &mut out);
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => {
                let Some(Value::Object(mut response)) = event.shift_remove("response") else {
                    return Err(self.protocol("the stream's last event holds no response"));
                };
                let word = kind.strip_prefix("response.").unwrap_or_default();
                response.entry("status").or_insert_with(|| word.into());
                self.complete(response, &mut out)?;
            }
            "error" => return Err(self.told(event)),
            "" => {
                let said = Value::Object(event.clone());
                let error = error_within(&said, &self.origin.provider);
                return Err(error.unwrap_or_else(|| self.protocol("an event has no type")));
            }
            _ => {
                self.start(None, &mut out);
                self.take_piece(&kind, event, &mut out);
            }
        }
        Ok(out)
    }

    /// An event about an item.
    fn take_piece(&mut self, kind: &str, event: &Map<String, Value>, out: &mut Vec<StreamEvent>) {
        let number = |key: &str| event.get(key).and_then(Value::as_u64).unwrap_or_default();
        let word = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        let place = (number("output_index"), number("content_index"));
        let delta = (word("delta"), Vec::new());
        match kind {
            "response.output_item.added" => {
                self.items.begin(place.0, event.get("item").unwrap_or(&Value::Null), out);
            }
            "response.output_item.done" => {
                let whole = event.get("item").cloned().unwrap_or_default();
                self.items.finish(place.0, whole, out);
            }
            "response.content_part.added" => {
                let kind = event.get("part").and_then(|part| part.get("type"));
                match kind.and_then(Value::as_str) {
                    Some("output_text") => self.items.announce(place, Kind::Text, out),
                    Some("refusal") => self.items.announce(place, Kind::Refusal, out),
                    _ => {}
                }
            }
            "response.output_text.delta" => {
                let odds = logprobs::decode(event.get("logprobs"));
                self.items.append(place, Kind::Text, (delta.0, odds), out);
            }
            "response.output_text.annotation.added" => {
                self.items.note(place, event.get("annotation").unwrap_or(&Value::Null));
            }
            "response.output_text.done" => {
                self.items.catch_up(place, Kind::Text, word("text"), out);
            }
            "response.refusal.delta" => self.items.append(place, Kind::Refusal, delta, out),
            "response.refusal.done" => {
                self.items.catch_up(place, Kind::Refusal, word("refusal"), out);
            }
            "response.reasoning_text.delta" => {
                self.items.append(place, Kind::Thought, delta, out);
            }
            "response.reasoning_summary_text.delta" => {
                self.items.append(place, Kind::Summary, delta, out);
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.items.append(place, Kind::Call, delta, out);
            }
            "response.function_call_arguments.done" => {
                self.items.catch_up(place, Kind::Call, word("arguments"), out);
            }
            "response.custom_tool_call_input.done" => {
                self.items.catch_up(place, Kind::Call, word("input"), out);
            }
            kind if is_repeated(kind) => {}
            _ => {
                let value = Value::Object(event.clone());
                out.push(StreamEvent::Raw { api: API.to_owned(), value });
            }
        }
    }

    fn start(&mut self, response: Option<&Map<String, Value>>, out: &mut Vec<StreamEvent>) {
        let word = |key: &str| Some(response?.get(key)?.as_str()?.to_owned());
        if let (None, Some(id)) = (&self.origin.response_id, word("id")) {
            self.origin.response_id = Some(id).filter(|id| !id.is_empty());
        }
        if self.origin.model.is_empty() {
            self.origin.model = word("model").unwrap_or_default();
        }
        self.items.offer(response.and_then(|response| response.get("tools")));
        if !std::mem::replace(&mut self.started, true) {
            let origin = self.origin.clone();
            out.push(StreamEvent::Start { origin, request_id: None, warnings: Vec::new() });
        }
    }

    /// The answer is over: the response as a whole, streamed before or not.
    pub(super) fn complete(
        &mut self,
        mut response: Map<String, Value>,
        out: &mut Vec<StreamEvent>,
    ) -> Result<()> {
        self.start(Some(&response), out);
        if let Some(Value::Array(output)) = response.shift_remove("output") {
            for (at, item) in (0..).zip(output) {
                self.items.finish(at, item, out);
            }
        }
        self.items.end(out);
        let mut extras = Map::new();
        let told = response.shift_remove("usage").unwrap_or_default();
        if let Some((used, rest)) = usage::decode(&told) {
            self.usage = used;
            if !self.usage.is_empty() {
                self.usage.tool_fees = usage::fees(&told).unwrap_or_else(|| self.items.fees());
            }
            if !rest.is_empty() {
                extras.insert("usage".to_owned(), Value::Object(rest));
            }
        }
        let status = response.shift_remove("status");
        let status = status.as_ref().and_then(Value::as_str).unwrap_or("completed");
        let error = response.shift_remove("error").filter(|error| !error.is_null());
        if status == "failed" || error.is_some() {
            let error = self.failed(error.as_ref());
            return self.fail(error, out);
        }
        let details = response.shift_remove("incomplete_details");
        self.ended = true;
        extras.extend(response.into_iter().filter(|(key, value)| is_fact(key, value)));
        out.push(StreamEvent::Finish {
            finish: finish::decode(status, details.as_ref(), self.items.wants_tools()),
            usage: self.usage.clone(),
            extras: extras_of(extras),
            receipt: None,
        });
        Ok(())
    }

    /// What was used is told before the error, so that it is charged for.
    fn fail(&mut self, error: Error, out: &mut Vec<StreamEvent>) -> Result<()> {
        if self.usage.is_empty() {
            self.ended = true;
            return Err(error);
        }
        out.push(StreamEvent::Usage { usage: self.usage.clone() });
        self.failure = Some(error);
        Ok(())
    }

    /// The error of a response that failed.
    fn failed(&self, error: Option<&Value>) -> Error {
        let said =
            error.and_then(|error| error_within(&json!({"error": error}), &self.origin.provider));
        let silent = || Error::new(ErrorKind::Upstream, "the provider's answer failed");
        self.blamed(said.unwrap_or_else(silent))
    }

    /// The error of an `error` event: nested, or flat beside the type.
    fn told(&mut self, event: &mut Map<String, Value>) -> Error {
        self.ended = true;
        event.shift_remove("type");
        event.shift_remove("sequence_number");
        let error = match event.shift_remove("error") {
            Some(error @ (Value::Object(_) | Value::String(_))) => error,
            _ => Value::Object(std::mem::take(event)),
        };
        self.failed(Some(&error))
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

    fn cut_off(&mut self) -> Error {
        self.ended = true;
        let message = "the provider's stream ended before the answer was complete";
        self.blamed(Error::new(ErrorKind::StreamInterrupted, message))
    }
}

/// Events that repeat what others say.
fn is_repeated(kind: &str) -> bool {
    matches!(
        kind,
        "response.content_part.done"
            | "response.reasoning_text.done"
            | "response.reasoning_summary_text.done"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done"
    )
}

/// Whether a field of a response says something that its request did not.
fn is_fact(key: &str, value: &Value) -> bool {
    let void = match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let common = matches!(key, "id" | "object" | "created_at" | "model" | "output_text");
    !void && !common && !ECHOED.contains(&key)
}

impl Decoder for ResponsesDecoder {
    fn push(&mut self, payload: &str) -> Result<Vec<StreamEvent>> {
        if let Some(failure) = self.failure.take() {
            self.ended = true;
            return Err(failure);
        }
        let payload = payload.trim();
        if self.ended || payload.is_empty() {
            return Ok(Vec::new());
        }
        if payload == "[DONE]" {
            return Err(self.cut_off());
        }
        match serde_json::from_str(payload) {
            Ok(Value::Object(mut event)) => self.take(&mut event),
            Ok(_) => Err(self.protocol("the stream holds something that is not an object")),
            Err(cause) => {
                let message = format!("the stream holds something that is not JSON: {cause}");
                Err(self.protocol(message).with_source(cause))
            }
        }
    }

    fn end(&mut self) -> Result<Vec<StreamEvent>> {
        if let Some(failure) = self.failure.take() {
            self.ended = true;
            return Err(failure);
        }
        if self.ended { Ok(Vec::new()) } else { Err(self.cut_off()) }
    }

    fn is_done(&self) -> bool {
        self.ended
    }

    fn is_closing(&self) -> bool {
        self.ended || self.failure.is_some()
    }
}
