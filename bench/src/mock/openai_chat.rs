//! OpenAI's chat completions. Written as text and not as JSON values, because measurements of a
//! proxy begin with how fast its upstream is.

use axum::body::Bytes;
use serde_json::Value;
use std::fmt::Write;

use super::{
    answer::{Api, NEWS},
    gate::Call,
    openai,
    time::CREATED,
    turn::{Turn, quoted},
    vendor::{Fault, Vendor},
};
use crate::script::Because;

/// A request for a chat completion.
pub(super) struct Chat {
    streams: bool,
    tells_usage: bool,
    choices: Option<u64>,
}

impl Api for Chat {
    const VENDOR: Vendor = Vendor::OpenAi;
    const TROUBLE: u16 = 500;

    fn of(call: &Call) -> Self {
        let asked = call.request.pointer("/stream_options/include_usage");
        Self {
            streams: call.request.get("stream").is_some_and(|stream| stream == true),
            tells_usage: asked.is_some_and(|asked| asked == true),
            choices: call.request.get("n").and_then(Value::as_u64),
        }
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn choices(&self) -> Option<u64> {
        self.choices
    }

    fn whole(&self, turn: &Turn) -> String {
        let message = message(turn);
        let mut text = envelope(turn, "chat.completion");
        for index in 0..turn.choices {
            let comma = if index == 0 { "" } else { "," };
            let reason = reason(turn);
            push(
                &mut text,
                format_args!(
                    "{comma}{{\"index\":{index},\"message\":{message},\"logprobs\":null,\"finish_reason\":\"{reason}\"}}"
                ),
            );
        }
        text.push(']');
        if let Some(usage) = openai::chat_usage(&turn.usage) {
            push(&mut text, format_args!(",\"usage\":{usage}"));
        }
        text.push('}');
        text
    }

    fn frames(&self, turn: &Turn) -> Vec<Bytes> {
        let usage = if self.tells_usage { ",\"usage\":null" } else { "" };
        let writer = Writer { head: envelope(turn, "chat.completion.chunk"), usage };
        let mut frames = Vec::new();
        let deltas = deltas(turn);
        for delta in &deltas {
            frames.extend((0..turn.choices).map(|index| writer.chunk(index, delta, None)));
        }
        let reason = reason(turn);
        frames.extend((0..turn.choices).map(|index| writer.chunk(index, "{}", Some(reason))));
        if let (Some(usage), true) = (openai::chat_usage(&turn.usage), self.tells_usage) {
            let head = &writer.head;
            frames.push(Bytes::from(format!("data: {head}],\"usage\":{usage}}}\n\n")));
        }
        if turn.done {
            frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
        }
        frames
    }

    fn news(&self) -> Bytes {
        Bytes::from(format!("data: {{\"object\":\"brand.new\",\"choices\":[],{NEWS}}}\n\n"))
    }

    fn broken(&self) -> &'static str {
        "data: {\"choices\": [oops\n\n"
    }

    fn trouble(&self, _: &Turn, fault: &Fault<'_>, _: usize) -> Vec<Bytes> {
        vec![Bytes::from(format!("data: {}\n\n", openai::error(fault)))]
    }
}

/// Writes the chunks of one stream.
struct Writer<'a> {
    head: String,
    usage: &'a str,
}

impl Writer<'_> {
    fn chunk(&self, index: usize, delta: &str, reason: Option<&str>) -> Bytes {
        let Self { head, usage } = self;
        let mut text = String::with_capacity(head.len() + delta.len() + 100);
        push(
            &mut text,
            format_args!(
                "data: {head}{{\"index\":{index},\"delta\":{delta},\"logprobs\":null,\"finish_reason\":"
            ),
        );
        match reason {
            Some(reason) => push(&mut text, format_args!("\"{reason}\"}}]{usage}}}\n\n")),
            None => push(&mut text, format_args!("null}}]{usage}}}\n\n")),
        }
        Bytes::from(text)
    }
}

/// Everything before the first choice.
fn envelope(turn: &Turn, object: &str) -> String {
    let model = quoted(&turn.model);
    format!(
        "{{\"id\":\"chatcmpl-mock\",\"object\":\"{object}\",\"created\":{CREATED},\"model\":{model},\
         \"system_fingerprint\":\"fp_mock\",\"choices\":["
    )
}

/// What a whole answer says.
fn message(turn: &Turn) -> String {
    let text = quoted(&turn.text());
    let (content, refusal) = match turn.because {
        Because::Refusal => ("null", &*text),
        _ if says_nothing(turn) => ("null", "null"),
        _ => (&*text, "null"),
    };
    let mut message =
        format!("{{\"role\":\"assistant\",\"content\":{content},\"refusal\":{refusal}");
    if !turn.thoughts.is_empty() {
        push(&mut message, format_args!(",\"reasoning_content\":{}", quoted(&turn.thinking())));
    }
    if !turn.calls.is_empty() {
        let calls = turn.calls.iter().enumerate();
        let calls: Vec<String> = calls
            .map(|(n, call)| format!("{{{}}}", tool_call(n, &call.name, &call.arguments)))
            .collect();
        push(&mut message, format_args!(",\"tool_calls\":[{}]", calls.join(",")));
    }
    message.push('}');
    message
}

/// Whether there are calls and nothing else.
fn says_nothing(turn: &Turn) -> bool {
    turn.words.is_empty() && !turn.calls.is_empty()
}

/// What a stream says, piece by piece.
fn deltas(turn: &Turn) -> Vec<String> {
    let said = if turn.because == Because::Refusal { "refusal" } else { "content" };
    let first = match turn.because {
        Because::Refusal => r#"{"role":"assistant","content":null,"refusal":""}"#,
        _ if says_nothing(turn) => r#"{"role":"assistant","content":null,"refusal":null}"#,
        _ => r#"{"role":"assistant","content":"","refusal":null}"#,
    };
    let mut deltas = vec![first.to_owned()];
    let thoughts = turn.thoughts.iter();
    deltas.extend(thoughts.map(|word| format!("{{\"reasoning_content\":{}}}", quoted(word))));
    deltas.extend(turn.words.iter().map(|word| format!("{{\"{said}\":{}}}", quoted(word))));
    for (n, call) in turn.calls.iter().enumerate() {
        let begun = tool_call(n, &call.name, "");
        deltas.push(format!("{{\"tool_calls\":[{{\"index\":{n},{begun}}}]}}"));
        deltas.extend(call.pieces().map(|piece| {
            let piece = quoted(piece);
            format!("{{\"tool_calls\":[{{\"index\":{n},\"function\":{{\"arguments\":{piece}}}}}]}}")
        }));
    }
    deltas
}

/// The fields of a call.
fn tool_call(n: usize, name: &str, arguments: &str) -> String {
    let (name, arguments) = (quoted(name), quoted(arguments));
    format!(
        "\"id\":\"call_mock_{n}\",\"type\":\"function\",\"function\":{{\"name\":{name},\"arguments\":{arguments}}}"
    )
}

fn reason(turn: &Turn) -> &'static str {
    match turn.because {
        Because::Length => "length",
        Because::Safety => "content_filter",
        Because::Refusal => "stop",
        Because::Done | Because::Blocked if !turn.calls.is_empty() => "tool_calls",
        Because::Done | Because::Blocked => "stop",
    }
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    text.write_fmt(more).unwrap_or_default();
}
