//! What the mock shall do with one request.

use std::time::Duration;

/// What the mock shall do with one request. Told by words in the header `x-mock`, in
/// `[[mock ...]]` within the last user message, or as the model's name after `mock-`. Words that
/// have no meaning in a dialect are ignored there.
///
/// | what it says | |
/// |---|---|
/// | `echo` | the last user message (the default) |
/// | `tokens=N` | N words |
/// | `think=N` | N words of thinking before that, signed where the dialect signs |
/// | `hidden` | thinks without showing it: only counted and signed |
/// | `tool`, `tools=N` | calls the first tool, or N tools in a row, with the tool's own schema as arguments |
/// | `fill` | the arguments are values that fit the tool's schema |
/// | `preface=N` | N words before the calls |
/// | `once` | calls only while the last message is no tool result; then says that result |
/// | `noids` | calls without ids, as older Gemini and Ollama do |
///
/// | how it ends | |
/// |---|---|
/// | `length` | by the output limit; arguments of calls are cut off, and where they are objects the calls are missing |
/// | `refusal` | what it says is a refusal |
/// | `safety` | by the content filter |
/// | `blocked` | Google: the prompt is blocked, there is no candidate |
/// | `error=K` | a stream tells an error after K chunks; `status=N` says which |
/// | `stall=K`, `reset=K`, `cut=K`, `malformed=K` | after K chunks a stream says nothing more, breaks the connection, ends it cleanly without finish, sends no JSON |
/// | `nodone` | leaves out the last sign: `[DONE]`, `message_stop`, `response.completed`, the line `done` |
///
/// | besides | |
/// |---|---|
/// | `delay=MS` | waits before each chunk |
/// | `headers_delay=MS` | waits before the headers |
/// | `usage=absent`, `negative` or `absurd` | lies about usage |
/// | `cached=N`, `cache_write=N` | N more input tokens, read from or written to the cache |
/// | `searches=N` | Anthropic: says that it searched the web so often |
/// | `status=N` | fails with the dialect's error body for that status |
/// | `code=X`, `message=X` | what that body says instead; `_` in the message is a space |
/// | `retry_after=S` | says with the error when to come back |
/// | `limits` | sends the vendor's rate limit headers |
/// | `news` | adds a field to a whole answer, and an event to a stream, that nobody knows |
/// | `html`, `sse` | answers with a page, or with a stream where none was asked |
///
/// As in `mock-tokens=50`, `mock-reset=3`, `[[mock tokens=5 delay=20]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// How many words to say; absent: the last user message.
    pub tokens: Option<usize>,
    /// How many words to think.
    pub think: usize,
    /// Do not show the thinking.
    pub hidden: bool,
    /// How many tools to call.
    pub tools: usize,
    /// Call with arguments that fit the schema.
    pub fill: bool,
    /// How many words to say before the calls.
    pub preface: usize,
    /// Call no tool after a tool result.
    pub once: bool,
    /// Give calls no ids, where old versions gave none.
    pub noids: bool,
    /// Wait before each chunk.
    pub delay: Duration,
    /// Wait before the headers.
    pub headers_delay: Duration,
    /// What to say about usage.
    pub usage: UsageReport,
    /// Further input tokens that were read from the cache.
    pub cached: u64,
    /// Further input tokens that were written to the cache.
    pub cache_write: u64,
    /// Searches that were made.
    pub searches: u64,
    /// Why the answer ends, other than by itself.
    pub because: Because,
    /// Fail with this status.
    pub status: Option<u16>,
    /// The code of a failure: OpenAI's `code`, Anthropic's `type`, Google's `status`.
    pub code: Option<String>,
    /// The message of a failure.
    pub message: Option<String>,
    /// When a failure says to come back, seconds.
    pub retry_after: Option<u64>,
    /// Send rate limit headers.
    pub limits: bool,
    /// How the stream ends.
    pub end: End,
    /// Leave out the last sign of a stream.
    pub nodone: bool,
    /// Say something that nobody knows.
    pub news: bool,
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

/// Why an answer ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Because {
    /// It is said, or its calls are made.
    #[default]
    Done,
    /// The output limit is reached.
    Length,
    /// The model refuses.
    Refusal,
    /// A filter stopped the answer.
    Safety,
    /// A filter stopped the prompt.
    Blocked,
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
    /// An error is told.
    Error(usize),
}

impl Script {
    /// Reads the words of a request: its header first, then its last user message, then its model.
    pub(crate) fn of(header: Option<&str>, said: &str, model: &str) -> Self {
        let mut script = Self::default();
        let model = model.strip_prefix("mock-").unwrap_or_default();
        let model = model.strip_suffix(":latest").unwrap_or(model);
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
        let wait = || Duration::from_millis(number.unwrap_or_default());
        match key {
            "tokens" => self.tokens = Some(count),
            "think" => self.think = count,
            "tool" => self.tools = 1,
            "tools" => self.tools = count,
            "preface" => self.preface = count,
            "delay" => self.delay = wait(),
            "headers_delay" => self.headers_delay = wait(),
            "usage" => self.usage = UsageReport::named(value),
            "cached" => self.cached = number.unwrap_or_default(),
            "cache_write" => self.cache_write = number.unwrap_or_default(),
            "searches" => self.searches = number.unwrap_or_default(),
            "status" => self.status = value.parse().ok(),
            "code" => self.code = Some(value.to_owned()),
            "message" => self.message = Some(value.replace('_', " ")),
            "retry_after" => self.retry_after = number,
            "stall" => self.end = End::Stall(count),
            "reset" => self.end = End::Reset(count),
            "cut" => self.end = End::Cut(count),
            "malformed" => self.end = End::Malformed(count),
            "error" => self.end = End::Error(count),
            "length" => self.because = Because::Length,
            "refusal" => self.because = Because::Refusal,
            "safety" => self.because = Because::Safety,
            "blocked" => self.because = Because::Blocked,
            _ => self.read_switch(key),
        }
    }

    /// Reads a word that only turns something on.
    fn read_switch(&mut self, word: &str) {
        let switch = match word {
            "hidden" => &mut self.hidden,
            "fill" => &mut self.fill,
            "once" => &mut self.once,
            "noids" => &mut self.noids,
            "limits" => &mut self.limits,
            "nodone" => &mut self.nodone,
            "news" => &mut self.news,
            "html" => &mut self.html,
            "sse" => &mut self.sse,
            _ => return,
        };
        *switch = true;
    }
}

impl UsageReport {
    fn named(name: &str) -> Self {
        match name {
            "absent" => Self::Absent,
            "negative" => Self::Negative,
            "absurd" => Self::Absurd,
            _ => Self::Exact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_from_model_message_and_header() {
        let said = "hi [[mock delay=20 usage=absent]]";
        let script = Script::of(Some("reset=2, once"), said, "mock-tokens=5,length:latest");
        let expected = Script {
            tokens: Some(5),
            delay: Duration::from_millis(20),
            usage: UsageReport::Absent,
            because: Because::Length,
            end: End::Reset(2),
            once: true,
            ..Script::default()
        };
        assert_eq!(script, expected);
    }

    #[test]
    fn words_that_mean_nothing_change_nothing() {
        let script = Script::of(Some("tokns=5 = ,,; delay=x"), "[[mock", "gpt-tokens=5");
        assert_eq!(script, Script::default());
    }
}
