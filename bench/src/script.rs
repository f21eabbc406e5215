//! What the mock shall do with one request.

use serde_json::Value;
use std::time::Duration;

/// What the mock shall do with one request. Told by words in the header `x-mock`, in
/// `[[mock ...]]` within the last user message, or as the model's name after `mock-`:
///
/// | word | effect |
/// |---|---|
/// | `echo` | says the last user message (the default) |
/// | `tokens=N` | says N words |
/// | `delay=MS` | waits before each word |
/// | `headers_delay=MS` | waits before the headers |
/// | `tool` | calls the first tool with its own schema as arguments |
/// | `usage=absent`, `negative` or `absurd` | lies about usage |
/// | `status=N` | fails with OpenAI's error body for that status |
/// | `retry_after=S` | sends the header with the error |
/// | `stall=K`, `reset=K`, `cut=K`, `malformed=K` | after K chunks says nothing more, breaks the connection, ends it cleanly without finish, sends no JSON |
/// | `nodone` | leaves out the last `[DONE]` |
/// | `html`, `sse` | answers with a page, or with a stream where none was asked |
///
/// As in `mock-tokens=50`, `mock-reset=3`, `[[mock tokens=5 delay=20]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// How many words to say; absent: the last user message.
    pub tokens: Option<usize>,
    /// Wait before each word.
    pub delay: Duration,
    /// Wait before the headers.
    pub headers_delay: Duration,
    /// Call the first tool.
    pub tool: bool,
    /// What to say about usage.
    pub usage: UsageReport,
    /// Fail with this status.
    pub status: Option<u16>,
    /// Header of a failure, seconds.
    pub retry_after: Option<u64>,
    /// How the stream ends.
    pub end: End,
    /// Leave out `[DONE]`.
    pub nodone: bool,
    /// Answer with a page.
    pub html: bool,
    /// Answer with a stream, asked or not.
    pub sse: bool,
}

/// What the mock says about usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageReport {
    /// The truth.
    #[default]
    Exact,
    /// Nothing.
    Absent,
    /// Negative numbers.
    Negative,
    /// Numbers that cannot be.
    Absurd,
}

/// How a stream ends, after so many chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// As it should.
    #[default]
    Whole,
    /// Nothing more comes.
    Stall(usize),
    /// The connection breaks.
    Reset(usize),
    /// The connection ends cleanly.
    Cut(usize),
    /// Something comes that is not JSON.
    Malformed(usize),
}

impl Script {
    /// Reads the words of a request: its header first, then its last user message, then its model.
    pub(crate) fn of(header: Option<&str>, body: &Value) -> Self {
        let mut script = Self::default();
        let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
        let model = model.strip_prefix("mock-").unwrap_or_default();
        let said = last_user_text(body);
        let said = said.split_once("[[mock ").and_then(|(_, rest)| rest.split_once("]]"));
        for words in [Some(model), said.map(|(words, _)| words), header].into_iter().flatten() {
            words.split([' ', ',', ';']).for_each(|word| script.read(word));
        }
        script
    }

    /// Reads one word; unknown ones mean nothing.
    fn read(&mut self, word: &str) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let number = value.parse::<u64>().ok();
        let count = value.parse::<usize>().unwrap_or_default();
        match key {
            "tokens" => self.tokens = Some(count),
            "delay" => self.delay = Duration::from_millis(number.unwrap_or_default()),
            "headers_delay" => {
                self.headers_delay = Duration::from_millis(number.unwrap_or_default())
            }
            "tool" => self.tool = true,
            "usage" => {
                self.usage = match value {
                    "absent" => UsageReport::Absent,
                    "negative" => UsageReport::Negative,
                    "absurd" => UsageReport::Absurd,
                    _ => UsageReport::Exact,
                }
            }
            "status" => self.status = value.parse().ok(),
            "retry_after" => self.retry_after = number,
            "stall" => self.end = End::Stall(count),
            "reset" => self.end = End::Reset(count),
            "cut" => self.end = End::Cut(count),
            "malformed" => self.end = End::Malformed(count),
            "nodone" => self.nodone = true,
            "html" => self.html = true,
            "sse" => self.sse = true,
            _ => {}
        }
    }
}

/// The text of the last user message.
pub(crate) fn last_user_text(body: &Value) -> String {
    let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
    let is_user = |message: &&Value| message.get("role").is_some_and(|role| role == "user");
    messages.rev().find(is_user).map(text_of).unwrap_or_default()
}

/// All text of a message.
pub(crate) fn text_of(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<&str> =
                parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join(" ")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_come_from_model_message_and_header() {
        let body = json!({"model": "mock-tokens=5", "messages": [
            {"role": "user", "content": "hi [[mock delay=20 usage=absent]]"}]});
        let script = Script::of(Some("reset=2"), &body);
        let expected = Script {
            tokens: Some(5),
            delay: Duration::from_millis(20),
            usage: UsageReport::Absent,
            end: End::Reset(2),
            ..Script::default()
        };
        assert_eq!(script, expected);
    }
}
