//! Cuts a stream's bytes into payloads, whichever way its vendor marks them.

use super::Framing;
use serde_json::Value;
use std::collections::VecDeque;
use tollgate_types::{EventTooLarge, SseDecoder};

/// A line longer than this is refused, so that a broken peer cannot fill the memory.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Bytes in any pieces in, payloads out.
#[derive(Debug)]
pub enum Payloads {
    /// Of server-sent events.
    Sse(Sse),
    /// Of lines.
    Lines(Lines),
}

/// Server-sent events.
#[derive(Debug, Default)]
pub struct Sse {
    events: SseDecoder,
    /// An error that stood outside of the events.
    stray: Option<Vec<u8>>,
}

/// Newline-delimited JSON.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    ready: VecDeque<Vec<u8>>,
}

impl Payloads {
    /// Nothing yet.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Sse => Self::Sse(Sse::default()),
            Framing::Lines => Self::Lines(Lines::default()),
        }
    }

    /// Takes bytes in.
    ///
    /// # Errors
    /// When a payload grows beyond 64 MiB.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), EventTooLarge> {
        match self {
            Self::Sse(sse) => sse.events.push(bytes),
            Self::Lines(lines) => lines.push(bytes),
        }
    }

    /// The bytes have ended: what is left counts as a payload.
    pub fn end(&mut self) {
        match self {
            Self::Sse(sse) => {
                sse.events.end();
                sse.stray = Some(sse.events.take_stray()).filter(|stray| is_error(stray));
            }
            Self::Lines(lines) => lines.end_line(),
        }
    }

    /// The next payload; what is not UTF-8 is replaced.
    pub fn next_payload(&mut self) -> Option<String> {
        let payload = match self {
            Self::Sse(sse) => sse.events.next_data().or_else(|| sse.stray.take()),
            Self::Lines(lines) => lines.ready.pop_front(),
        }?;
        Some(match String::from_utf8(payload) {
            Ok(text) => text,
            Err(broken) => String::from_utf8_lossy(broken.as_bytes()).into_owned(),
        })
    }
}

/// Whether bytes are an object that tells of an error: Google breaks a stream off with one.
fn is_error(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.get("error").is_some())
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Result<(), EventTooLarge> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
            if self.line.len() > MAX_LINE_BYTES {
                return Err(EventTooLarge);
            }
        }
        Ok(())
    }

    /// Blank lines say nothing.
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line).trim_ascii().to_vec();
        if !line.is_empty() {
            self.ready.push_back(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut payloads = Payloads::new(Framing::Lines);
        let mut all = Vec::new();
        for piece in pieces {
            payloads.push(piece).unwrap();
            all.extend(std::iter::from_fn(|| payloads.next_payload()));
        }
        payloads.end();
        all.extend(std::iter::from_fn(|| payloads.next_payload()));
        all
    }

    #[test]
    fn lines_cut_at_any_byte_are_the_same_lines() {
        let bytes = "{\"a\":\"żó 🦀\"}\r\n\n{\"b\":1}\n{\"last\":true}".as_bytes();
        let whole = ["{\"a\":\"żó 🦀\"}", "{\"b\":1}", "{\"last\":true}"];
        assert_eq!(lines(&[bytes]), whole);
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(lines(&[head, tail]), whole, "cut at {at}");
        }
    }

    #[test]
    fn an_error_outside_of_the_events_comes_last_and_other_noise_not_at_all() {
        let read = |bytes: &[u8]| {
            let mut payloads = Payloads::new(Framing::Sse);
            payloads.push(bytes).unwrap();
            payloads.end();
            std::iter::from_fn(|| payloads.next_payload()).collect::<Vec<_>>()
        };
        let broken = b"data: 1\n\n{\n \"error\": {\"code\": 499}\n}\n";
        assert_eq!(read(broken), ["1", "{\n \"error\": {\"code\": 499}\n}\n"]);
        assert_eq!(read(b"data: 1\n\n{\"a\": 1}\n"), ["1"]);
        assert_eq!(read(b"data: 1\n\nnoise\n{\"error\": 1}\n"), ["1"]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut payloads = Payloads::new(Framing::Lines);
        let megabyte = vec![b'x'; 1 << 20];
        assert!((0..=64).any(|_| payloads.push(&megabyte) == Err(EventTooLarge)));
    }
}
