//! What the mock says, whole and in chunks.

use axum::{
    Json,
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::script::{Script, UsageReport, last_user_text, text_of};

/// One answer to one chat request.
pub(super) struct Reply {
    model: String,
    words: Vec<String>,
    call: Option<Call>,
    usage: Option<Value>,
    done: bool,
}

struct Call {
    name: String,
    arguments: String,
}

impl Reply {
    pub(super) fn of(script: &Script, request: &Value) -> Self {
        let call = script.tool.then(|| call_first_tool(request)).flatten();
        let said = match (script.tokens, &call) {
            (_, Some(_)) => String::new(),
            (Some(count), None) => {
                let words: Vec<String> = (0..count).map(|n| format!("w{n}")).collect();
                words.join(" ")
            }
            (None, None) => last_user_text(request),
        };
        let words: Vec<String> = said.split_inclusive(' ').map(str::to_owned).collect();
        let written = call.as_ref().map_or(words.len(), |call| count(&call.arguments).max(1));
        let messages = request.get("messages").and_then(Value::as_array).into_iter().flatten();
        let read: usize = messages.map(|message| count(&text_of(message))).sum();
        Self {
            model: request.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
            words,
            call,
            usage: usage(script.usage, read, written),
            done: !script.nodone,
        }
    }

    /// How many words it says.
    pub(super) fn words(&self) -> usize {
        self.words.len()
    }

    /// The whole answer.
    pub(super) fn whole(&self) -> Value {
        let calls = self.call.as_ref().map(|call| json!([self.tool_call(call, &call.arguments)]));
        let text = self.words.concat();
        let content = if calls.is_some() { Value::Null } else { text.into() };
        let mut message = json!({"role": "assistant", "content": content, "refusal": null});
        if let (Some(calls), Value::Object(message)) = (calls, &mut message) {
            message.insert("tool_calls".to_owned(), calls);
        }
        let mut whole = self.envelope(
            "chat.completion",
            json!([
                {"index": 0, "message": message, "logprobs": null, "finish_reason": self.reason()}
            ]),
        );
        if let (Some(usage), Value::Object(whole)) = (&self.usage, &mut whole) {
            whole.insert("usage".to_owned(), usage.clone());
        }
        whole
    }

    /// The frames of its stream.
    pub(super) fn frames(&self, request: &Value) -> Vec<Bytes> {
        let mut chunks =
            vec![self.chunk(&json!({"role": "assistant", "content": ""}), Value::Null)];
        for word in &self.words {
            chunks.push(self.chunk(&json!({"content": word}), Value::Null));
        }
        if let Some(call) = &self.call {
            let begun = self.tool_call(call, "");
            chunks.push(self.chunk(&json!({"tool_calls": [begun]}), Value::Null));
            for piece in call.arguments.split_inclusive(',') {
                let more = json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]});
                chunks.push(self.chunk(&more, Value::Null));
            }
        }
        chunks.push(self.chunk(&json!({}), self.reason().into()));
        let asked = request.pointer("/stream_options/include_usage");
        if let (Some(usage), Some(Value::Bool(true))) = (&self.usage, asked) {
            let mut last = self.envelope("chat.completion.chunk", json!([]));
            if let Value::Object(last) = &mut last {
                last.insert("usage".to_owned(), usage.clone());
            }
            chunks.push(last);
        }
        let done = self.done.then(|| Bytes::from_static(b"data: [DONE]\n\n"));
        chunks.iter().map(|chunk| Bytes::from(format!("data: {chunk}\n\n"))).chain(done).collect()
    }

    fn chunk(&self, delta: &Value, reason: Value) -> Value {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason});
        self.envelope("chat.completion.chunk", json!([choice]))
    }

    fn envelope(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": "chatcmpl-mock",
            "object": object,
            "created": 1_700_000_000,
            "model": self.model,
            "system_fingerprint": "fp_mock",
            "choices": choices,
        })
    }

    fn tool_call(&self, call: &Call, arguments: &str) -> Value {
        json!({
            "index": 0,
            "id": "call_mock_0",
            "type": "function",
            "function": {"name": call.name, "arguments": arguments},
        })
    }

    fn reason(&self) -> &'static str {
        if self.call.is_some() { "tool_calls" } else { "stop" }
    }
}

/// A call of the first tool, with its schema as arguments.
fn call_first_tool(request: &Value) -> Option<Call> {
    let tool = request.pointer("/tools/0/function")?;
    let arguments = tool.get("parameters").map_or_else(|| "{}".to_owned(), Value::to_string);
    Some(Call { name: tool.get("name")?.as_str()?.to_owned(), arguments })
}

fn usage(report: UsageReport, read: usize, written: usize) -> Option<Value> {
    match report {
        UsageReport::Absent => None,
        UsageReport::Negative => {
            Some(json!({"prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12}))
        }
        UsageReport::Absurd => Some(json!({
            "prompt_tokens": u64::MAX, "completion_tokens": 1e300, "total_tokens": "lots",
            "completion_tokens_details": {"reasoning_tokens": 999_999_999},
        })),
        UsageReport::Exact => Some(json!({
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        })),
    }
}

/// One word is one token.
fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// OpenAI's answer for a status.
pub(super) fn failure(status: u16, retry_after: Option<u64>) -> Response {
    let (kind, code, message) = match status {
        401 => (
            "invalid_request_error",
            Some("invalid_api_key"),
            "Incorrect API key provided: sk-mock-0123456789.",
        ),
        402 => {
            ("insufficient_quota", Some("insufficient_quota"), "You exceeded your current quota.")
        }
        404 => ("invalid_request_error", Some("model_not_found"), "The model does not exist."),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached."),
        500.. => ("server_error", None, "The server had an error."),
        _ => ("invalid_request_error", None, "The request is invalid."),
    };
    let error = json!({"message": message, "type": kind, "param": null, "code": code});
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(json!({"error": error}))).into_response();
    let headers = response.headers_mut();
    headers.insert("x-request-id", HeaderValue::from_static("req_mock"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Vectors of two numbers: the length of the text and its place.
pub(super) fn vectors(request: &Value) -> Value {
    let input = match request.get("input") {
        Some(Value::Array(texts)) => texts.clone(),
        Some(text) => vec![text.clone()],
        None => Vec::new(),
    };
    let texts = input.iter().map(|text| text.as_str().unwrap_or_default());
    let read: usize = texts.clone().map(count).sum();
    let items: Vec<Value> = texts
        .enumerate()
        .map(|(n, text)| json!({"object": "embedding", "index": n, "embedding": [text.len(), n]}))
        .collect();
    json!({
        "object": "list",
        "data": items,
        "model": request.get("model"),
        "usage": {"prompt_tokens": read, "total_tokens": read},
    })
}
