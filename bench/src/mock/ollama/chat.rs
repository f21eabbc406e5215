//! Ollama's chat and generate: lines of JSON, unless one answer is asked for.

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use super::{error, line};
use crate::{
    mock::{
        answer::{Api, NEWS},
        gate::Call,
        time::CREATED_AT,
        turn::Turn,
        vendor::{Fault, Vendor},
    },
    script::{Because, UsageReport},
};

/// What one token and everything around takes, nanoseconds.
const TOKEN: u64 = 1_000_000;

/// A request to `/api/chat`, or else to `/api/generate`.
pub(super) struct Asks<const CHAT: bool> {
    streams: bool,
    /// Why nothing is said: the model was only to be loaded or unloaded.
    only: Option<&'static str>,
}

impl<const CHAT: bool> Api for Asks<CHAT> {
    const VENDOR: Vendor = Vendor::Ollama;
    const TROUBLE: u16 = 500;

    fn of(call: &Call) -> Self {
        let request = &call.request;
        let is_empty = match request.get(if CHAT { "messages" } else { "prompt" }) {
            Some(Value::Array(messages)) => messages.is_empty(),
            Some(Value::String(prompt)) => prompt.is_empty(),
            _ => true,
        };
        let leaves = request.get("keep_alive").is_some_and(|time| *time == 0 || *time == "0");
        let only = if leaves { "unload" } else { "load" };
        Self {
            streams: request.get("stream").is_none_or(|stream| stream != false),
            only: is_empty.then_some(only),
        }
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn whole(&self, turn: &Turn) -> String {
        if let Some(only) = self.only {
            return line(&Self::nothing(turn, only));
        }
        let calls = calls(turn);
        line(&Self::last(turn, &turn.text(), &turn.thinking(), calls))
    }

    fn frames(&self, turn: &Turn) -> Vec<Bytes> {
        let mut lines = Vec::new();
        if let Some(only) = self.only {
            lines.push(Self::nothing(turn, only));
        } else {
            lines.extend(turn.thoughts.iter().map(|word| Self::more(turn, "", word, Vec::new())));
            lines.extend(turn.words.iter().map(|word| Self::more(turn, word, "", Vec::new())));
            // Calls come one by one, and none of them is the end.
            lines.extend(calls(turn).into_iter().map(|call| Self::more(turn, "", "", vec![call])));
            if turn.done {
                lines.push(Self::last(turn, "", "", Vec::new()));
            }
        }
        lines.iter().map(|json| Bytes::from(line(json) + "\n")).collect()
    }

    fn news(&self) -> Bytes {
        Bytes::from(format!("{{{NEWS},\"done\":false}}\n"))
    }

    fn broken(&self) -> &'static str {
        "{\"model\": [oops\n"
    }

    fn trouble(&self, _: &Turn, fault: &Fault<'_>, _: usize) -> Vec<Bytes> {
        vec![Bytes::from(line(&error(fault)) + "\n")]
    }
}

impl<const CHAT: bool> Asks<CHAT> {
    /// A line before the last.
    fn more(turn: &Turn, said: &str, thought: &str, calls: Vec<Value>) -> Value {
        let mut all = Self::saying(turn, said, thought, calls);
        all.insert("done".to_owned(), false.into());
        Value::Object(all)
    }

    /// The last line, or the only one.
    fn last(turn: &Turn, said: &str, thought: &str, calls: Vec<Value>) -> Value {
        let reason = if turn.because == Because::Length { "length" } else { "stop" };
        let mut all = Self::saying(turn, said, thought, calls);
        all.insert("done".to_owned(), true.into());
        all.insert("done_reason".to_owned(), reason.into());
        if !CHAT {
            all.insert("context".to_owned(), json!([1, 2, 3]));
        }
        all.extend(counts(turn));
        Value::Object(all)
    }

    /// The only line where nothing is said.
    fn nothing(turn: &Turn, reason: &str) -> Value {
        let mut all = Self::saying(turn, "", "", Vec::new());
        all.insert("done".to_owned(), true.into());
        all.insert("done_reason".to_owned(), reason.into());
        Value::Object(all)
    }

    fn saying(turn: &Turn, said: &str, thought: &str, calls: Vec<Value>) -> Map<String, Value> {
        let mut all = Map::new();
        all.insert("model".to_owned(), turn.model.as_str().into());
        all.insert("created_at".to_owned(), CREATED_AT.into());
        let mut message = Map::new();
        if CHAT {
            message.insert("role".to_owned(), "assistant".into());
        }
        message.insert(if CHAT { "content" } else { "response" }.to_owned(), said.into());
        if !thought.is_empty() {
            message.insert("thinking".to_owned(), thought.into());
        }
        if CHAT && !calls.is_empty() {
            message.insert("tool_calls".to_owned(), calls.into());
        }
        if CHAT {
            all.insert("message".to_owned(), message.into());
        } else {
            all.extend(message);
        }
        all
    }
}

/// The calls; their arguments are objects.
fn calls(turn: &Turn) -> Vec<Value> {
    let calls = turn.whole_calls().iter().enumerate();
    calls
        .map(|(n, call)| match turn.ids {
            true => json!({
                "id": format!("call_mock_{n}"),
                "function": {"index": n, "name": call.name, "arguments": call.input},
            }),
            false => json!({"function": {"name": call.name, "arguments": call.input}}),
        })
        .collect()
}

/// Counts and durations.
fn counts(turn: &Turn) -> Map<String, Value> {
    let (read, written) = (turn.usage.read(), turn.usage.written());
    let times = [
        ("total_duration", read.saturating_add(written).saturating_add(1)),
        ("load_duration", 1),
        ("prompt_eval_duration", read),
        ("eval_duration", written),
    ];
    let times = times.map(|(key, count)| (key, count.saturating_mul(TOKEN).into()));
    let counts: Vec<(&str, Value)> = match turn.usage.report {
        UsageReport::Absent => Vec::new(),
        UsageReport::Negative => {
            vec![("prompt_eval_count", (-5).into()), ("eval_count", (-7).into())]
        }
        UsageReport::Absurd => {
            vec![("prompt_eval_count", u64::MAX.into()), ("eval_count", json!(1e300))]
        }
        UsageReport::Exact => {
            vec![("prompt_eval_count", read.into()), ("eval_count", written.into())]
        }
    };
    times.into_iter().chain(counts).map(|(key, value)| (key.to_owned(), value)).collect()
}
