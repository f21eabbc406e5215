//! Anthropic's messages, token counts, models and errors.

mod events;

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use super::{
    answer::{Api, event},
    asked::Asked,
    gate::Call,
    openai::MODELS,
    time::CREATED_AT,
    turn::{SIGNATURE, Tally, Turn},
    vendor::{Fault, Vendor},
};
use crate::script::{Because, UsageReport};

/// Anthropic's error body for a status.
pub(super) fn error(fault: &Fault<'_>) -> Value {
    let model = format!("model: {}", fault.model);
    let (kind, message) = match fault.status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "Your credit balance is too low."),
        403 => ("permission_error", "Your API key may not use this resource."),
        404 => ("not_found_error", &*model),
        413 => {
            // The only one that comes from before the API, and has no type around it.
            let message = "Request exceeds the maximum size";
            return json!({"error": {"type": "request_too_large", "message": message}});
        }
        429 => ("rate_limit_error", "This request would exceed your rate limit."),
        504 => ("timeout_error", "The request timed out."),
        529 => ("overloaded_error", "Overloaded"),
        500.. => ("api_error", "Internal server error"),
        _ => ("invalid_request_error", "The request is invalid."),
    };
    told(fault.code(Some(kind)).unwrap_or(kind), fault.message(message))
}

/// The refusal of a key.
pub(super) fn wrong_key(given: Option<&str>) -> (u16, Value) {
    let message =
        if given.is_some() { "invalid x-api-key" } else { "x-api-key header is required" };
    (401, told("authentication_error", message))
}

fn told(kind: &str, message: &str) -> Value {
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_mock"})
}

/// How many tokens a request has.
pub(super) fn count(asked: &Asked<'_>) -> Value {
    json!({"input_tokens": asked.words()})
}

/// The models, or one of them.
pub(super) fn models(one: Option<&str>) -> Value {
    let model = |id: &str| {
        json!({
            "type": "model", "id": id, "display_name": id, "created_at": CREATED_AT,
            "lifecycle": "active",
        })
    };
    let [first, last] = MODELS;
    match one {
        Some(id) => model(id),
        None => json!({
            "data": MODELS.map(model), "has_more": false, "first_id": first, "last_id": last,
        }),
    }
}

/// A request to the Messages API.
pub(super) struct Messages {
    streams: bool,
}

impl Api for Messages {
    const VENDOR: Vendor = Vendor::Anthropic;
    const TROUBLE: u16 = 529;

    fn of(call: &Call) -> Self {
        Self { streams: call.request.get("stream").is_some_and(|stream| stream == true) }
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn whole(&self, turn: &Turn) -> String {
        let mut message = begun(turn);
        let end = ending(turn);
        if let (Value::Object(message), Value::Object(end)) = (&mut message, end) {
            message.insert("content".to_owned(), content(turn).into());
            message.extend(end);
            match usage(&turn.usage, turn.usage.written()) {
                Some(usage) => drop(message.insert("usage".to_owned(), usage)),
                None => drop(message.remove("usage")),
            }
        }
        message.to_string()
    }

    fn frames(&self, turn: &Turn) -> Vec<Bytes> {
        events::of(turn)
    }

    fn broken(&self) -> &'static str {
        "event: content_block_delta\ndata: {\"type\": [oops\n\n"
    }

    fn trouble(&self, _: &Turn, fault: &Fault<'_>, _: usize) -> Vec<Bytes> {
        let told = error(fault);
        let error = told.get("error").cloned().unwrap_or_default();
        let json = json!({"type": "error", "error": error, "request_id": "req_mock"});
        vec![event("error", &json.to_string())]
    }
}

/// The message before anything is said. Its count of output is a placeholder, as the real one's.
fn begun(turn: &Turn) -> Value {
    let mut message = json!({
        "model": turn.model,
        "id": "msg_mock",
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    });
    if let (Value::Object(message), Some(usage)) = (&mut message, usage(&turn.usage, 1)) {
        message.insert("usage".to_owned(), usage);
    }
    message
}

/// Why the message ended.
fn ending(turn: &Turn) -> Value {
    let reason = match turn.because {
        Because::Length => "max_tokens",
        Because::Refusal | Because::Safety => "refusal",
        Because::Done | Because::Blocked if !turn.calls.is_empty() => "tool_use",
        Because::Done | Because::Blocked => "end_turn",
    };
    let mut end = json!({"stop_reason": reason, "stop_sequence": null});
    if let ("refusal", Value::Object(end)) = (reason, &mut end) {
        let details = json!({"type": "refusal", "category": null, "explanation": null});
        end.insert("stop_details".to_owned(), details);
    }
    end
}

/// Everything it says, block by block.
fn content(turn: &Turn) -> Vec<Value> {
    let mut blocks = Vec::new();
    if turn.thinks {
        let thinking = turn.thinking();
        blocks.push(json!({"type": "thinking", "thinking": thinking, "signature": SIGNATURE}));
    }
    if !turn.words.is_empty() {
        blocks.push(json!({"type": "text", "text": turn.text()}));
    }
    for (n, call) in turn.calls.iter().enumerate() {
        blocks.push(tool_use(n, &call.name, &call.input));
    }
    blocks
}

fn tool_use(n: usize, name: &str, input: &Value) -> Value {
    json!({"type": "tool_use", "id": format!("toolu_mock_{n}"), "name": name, "input": input})
}

/// Usage with so much output; the input leaves out what the cache had a part in.
fn usage(usage: &Tally, written: u64) -> Option<Value> {
    match usage.report {
        UsageReport::Absent => None,
        UsageReport::Negative => Some(json!({"input_tokens": -5, "output_tokens": -7})),
        UsageReport::Absurd => Some(json!({
            "input_tokens": u64::MAX, "output_tokens": 1e300, "cache_read_input_tokens": "lots",
        })),
        UsageReport::Exact => {
            let mut told = json!({
                "input_tokens": usage.fresh,
                "cache_creation_input_tokens": usage.cache_write,
                "cache_read_input_tokens": usage.cached,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": usage.cache_write,
                    "ephemeral_1h_input_tokens": 0,
                },
                "output_tokens": written,
                "service_tier": "standard",
            });
            let thought = usage.thought;
            if let (true, Value::Object(told)) = ((1..=written).contains(&thought), &mut told) {
                let details = json!({"thinking_tokens": thought});
                told.insert("output_tokens_details".to_owned(), details);
            }
            if let (1.., Value::Object(told)) = (usage.searches, &mut told) {
                let searched = json!({"web_search_requests": usage.searches});
                told.insert("server_tool_use".to_owned(), searched);
            }
            Some(told)
        }
    }
}

/// Usage as the end of a stream tells it.
fn final_usage(tally: &Tally) -> Option<Map<String, Value>> {
    let Value::Object(mut told) = usage(tally, tally.written())? else { return None };
    told.remove("cache_creation");
    told.remove("service_tier");
    Some(told)
}
