//! OpenAI's Responses API.

mod events;

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use super::{
    answer::{Api, event},
    gate::Call,
    openai,
    time::CREATED,
    turn::{SIGNATURE, Turn},
    vendor::{Fault, Vendor},
};
use crate::script::Because;
use events::Events;

/// Fields of the answer that repeat what was asked, and what they are when it was not.
const REPEATED: [(&str, &str); 16] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", "\"default\""),
    ("store", "true"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"},"verbosity":"medium"}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
];

/// A request to the Responses API.
pub(super) struct Responses {
    streams: bool,
    /// Whether the reasoning comes back sealed, for the next turn.
    seals: bool,
    /// Whether deltas are padded against traffic analysis.
    pads: bool,
    repeated: Map<String, Value>,
}

impl Api for Responses {
    const VENDOR: Vendor = Vendor::OpenAi;
    const TROUBLE: u16 = 500;

    fn of(call: &Call) -> Self {
        let request = &call.request;
        let include = request.get("include").and_then(Value::as_array);
        let pads = request.pointer("/stream_options/include_obfuscation");
        let repeated = REPEATED.iter().map(|(key, default)| {
            let default = || serde_json::from_str(default).unwrap_or_default();
            ((*key).to_owned(), request.get(*key).cloned().unwrap_or_else(default))
        });
        Self {
            streams: request.get("stream").is_some_and(|stream| stream == true),
            seals: include
                .is_some_and(|list| list.iter().any(|item| item == "reasoning.encrypted_content")),
            pads: pads.is_none_or(|pads| pads == true),
            repeated: repeated.collect(),
        }
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn whole(&self, turn: &Turn) -> String {
        self.ended(turn).to_string()
    }

    fn frames(&self, turn: &Turn) -> Vec<Bytes> {
        Events::new(self.pads).of(self, turn)
    }

    fn broken(&self) -> &'static str {
        "event: response.output_text.delta\ndata: {\"type\": [oops\n\n"
    }

    fn trouble(&self, turn: &Turn, fault: &Fault<'_>, sent: usize) -> Vec<Bytes> {
        let mut told = openai::error(fault);
        let error = told.get_mut("error").map(Value::take).unwrap_or_default();
        let code = error.get("code").filter(|code| !code.is_null()).cloned();
        let code = code.unwrap_or_else(|| "server_error".into());
        let failure = json!({"code": code, "message": error.get("message")});
        let failed = self.response(turn, "failed", &[("error", failure)]);
        let first = json!({"type": "error", "sequence_number": sent, "error": error});
        let kind = "response.failed";
        let last = json!({"type": kind, "sequence_number": sent + 1, "response": failed});
        vec![event("error", &first.to_string()), event(kind, &last.to_string())]
    }
}

impl Responses {
    /// The answer as it is when nothing more comes.
    fn ended(&self, turn: &Turn) -> Value {
        let (status, reason) = match turn.because {
            Because::Length => ("incomplete", Some("max_output_tokens")),
            Because::Safety => ("incomplete", Some("content_filter")),
            Because::Done | Because::Refusal | Because::Blocked => ("completed", None),
        };
        let details = reason.map_or(Value::Null, |reason| json!({"reason": reason}));
        let more = [
            ("incomplete_details", details),
            ("output", self.items(turn).into()),
            ("usage", openai::responses_usage(&turn.usage)),
        ];
        self.response(turn, status, &more)
    }

    /// The answer in some state; later fields replace earlier ones.
    fn response(&self, turn: &Turn, status: &str, more: &[(&str, Value)]) -> Value {
        let mut response = Map::new();
        let mut put = |key: &str, value: Value| drop(response.insert(key.to_owned(), value));
        put("id", "resp_mock".into());
        put("object", "response".into());
        put("created_at", CREATED.into());
        put("status", status.into());
        put("background", false.into());
        put("completed_at", if status == "completed" { CREATED.into() } else { Value::Null });
        put("error", Value::Null);
        put("incomplete_details", Value::Null);
        put("model", turn.model.as_str().into());
        put("output", json!([]));
        for (key, value) in &self.repeated {
            put(key, value.clone());
        }
        put("top_logprobs", 0.into());
        put("usage", Value::Null);
        put("user", Value::Null);
        put("metadata", json!({}));
        for (key, value) in more {
            put(key, value.clone());
        }
        Value::Object(response)
    }

    /// Everything it says, item by item.
    fn items(&self, turn: &Turn) -> Vec<Value> {
        let mut items = Vec::new();
        if turn.thinks {
            items.push(self.reasoning(&turn.thinking()));
        }
        if !turn.words.is_empty() || turn.calls.is_empty() {
            let part = part(turn, &turn.text());
            items.push(message(items.len(), state(turn), vec![part]));
        }
        for (n, call) in turn.calls.iter().enumerate() {
            items.push(function_call(n, &call.name, &call.arguments, state(turn)));
        }
        items
    }

    /// The reasoning, with a summary where there is something to show.
    fn reasoning(&self, summary: &str) -> Value {
        let summary = match summary {
            "" => json!([]),
            text => json!([{"type": "summary_text", "text": text}]),
        };
        let mut item = json!({"id": "rs_mock", "type": "reasoning", "summary": summary});
        if let (true, Value::Object(item)) = (self.seals, &mut item) {
            item.insert("encrypted_content".to_owned(), SIGNATURE.into());
        }
        item
    }
}

/// How an item is when it ends.
fn state(turn: &Turn) -> &'static str {
    match turn.because {
        Because::Length | Because::Safety => "incomplete",
        Because::Done | Because::Refusal | Because::Blocked => "completed",
    }
}

/// The only part of a message.
fn part(turn: &Turn, text: &str) -> Value {
    match turn.because {
        Because::Refusal => json!({"type": "refusal", "refusal": text}),
        _ => json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text}),
    }
}

fn message(place: usize, status: &str, content: Vec<Value>) -> Value {
    json!({
        "id": format!("msg_mock_{place}"),
        "type": "message",
        "status": status,
        "content": content,
        "role": "assistant",
    })
}

fn function_call(n: usize, name: &str, arguments: &str, status: &str) -> Value {
    json!({
        "id": format!("fc_mock_{n}"),
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": format!("call_mock_{n}"),
        "name": name,
    })
}
