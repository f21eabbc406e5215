//! What callers send.

use super::canned::Dialect;
use memchr::memmem::find;
use serde_json::json;
use std::{net::SocketAddr, time::Duration};

/// How a stream comes. It travels in the model's name, which every proxy passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) chunks: u32,
    pub(super) gap: Duration,
}

const PACED: &[u8] = b"paced-";

impl Pace {
    /// The name of a model that answers so.
    pub(super) fn model(self) -> String {
        format!("paced-{}-{}", self.chunks, self.gap.as_micros())
    }

    /// The pace that is named somewhere in a request.
    pub(super) fn within(body: &[u8]) -> Option<Self> {
        let name = body.get(find(body, PACED)? + PACED.len()..)?;
        let name = name.get(..name.len().min(32))?;
        let end = memchr::memchr(b'"', name)?;
        let (chunks, gap) = std::str::from_utf8(name.get(..end)?).ok()?.split_once('-')?;
        Some(Self { chunks: chunks.parse().ok()?, gap: Duration::from_micros(gap.parse().ok()?) })
    }
}

/// A request, but for where it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) dialect: Dialect,
    /// Bytes of the prompt.
    pub(super) prompt: usize,
    pub(super) pace: Option<Pace>,
}

impl Wish {
    /// The name of the model, as the upstream knows it.
    pub(super) fn model(self) -> String {
        self.pace.map_or_else(|| "bench".to_owned(), Pace::model)
    }

    /// Head and body, ready to be sent.
    pub(super) fn bytes(self, to: &Recipient<'_>) -> Vec<u8> {
        let body = self.body(to.prefix);
        let path = match self.dialect {
            Dialect::OpenAi => "/v1/chat/completions",
            Dialect::Anthropic => "/v1/messages",
        };
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nuser-agent: tollgate-bench\r\naccept: */*\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nauthorization: Bearer {}\r\n",
            to.address,
            body.len(),
            to.key,
        );
        for (name, value) in to.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        (head + &body).into_bytes()
    }

    /// Tokens that an answer may have. Who asks for too few is cut off where tokens are counted.
    fn longest(self) -> u32 {
        self.pace.map_or(64, |pace| 64 + 16 * pace.chunks)
    }

    fn body(self, prefix: &str) -> String {
        json!({
            "model": format!("{prefix}{}", self.model()),
            "stream": self.pace.is_some(),
            "max_tokens": self.longest(),
            "messages": [{"role": "user", "content": prompt(self.prompt)}],
        })
        .to_string()
    }
}

/// Who is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipient<'a> {
    pub(super) address: SocketAddr,
    pub(super) key: &'a str,
    /// What stands before the model's name.
    pub(super) prefix: &'a str,
    pub(super) headers: &'a [(String, String)],
}

/// Text of so many bytes as people write it: lines, quotes, and letters beyond ASCII.
fn prompt(bytes: usize) -> String {
    const LINES: &str = "Please read this: \"a line of text\", then another one.\n\
                         It was déjà vu, he said, and went on with 1,234 other things.\n";
    let mut text: String = LINES.chars().cycle().take(bytes).collect();
    while text.len() > bytes {
        text.pop();
    }
    text.extend(std::iter::repeat_n('.', bytes - text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_found_in_the_request_that_names_it() {
        let pace = Pace { chunks: 300, gap: Duration::from_millis(20) };
        let wish = Wish { dialect: Dialect::OpenAi, prompt: 1_000, pace: Some(pace) };
        let address = "127.0.0.1:1".parse().unwrap();
        let to = Recipient { address, key: "k", prefix: "mock/", headers: &[] };
        assert_eq!(Pace::within(&wish.bytes(&to)), Some(pace));
        let whole = Wish { pace: None, ..wish };
        assert_eq!(Pace::within(&whole.bytes(&to)), None);
        for other in ["\"paced-\"", "\"paced-1\"", "\"paced-1-x\"", "\"paced-1-2"] {
            assert_eq!(Pace::within(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_prompt_has_the_size_that_was_asked_for() {
        for bytes in [0, 1, 97, 1_000, 100_000] {
            assert_eq!(prompt(bytes).len(), bytes);
        }
    }
}
