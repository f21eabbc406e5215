//! Server-sent events out of bytes that arrive in any pieces.
//!
//! Written here because the crate at hand (eventsource-stream 0.2.3) panics on a byte-order mark
//! and keeps an endless event in memory. Only `data` is kept: the native events name themselves.
//! The format is <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::collections::VecDeque;

/// An event longer than this is refused, so that a broken peer cannot fill the memory.
const MAX_EVENT_BYTES: usize = 64 << 20;

/// The bytes of one event's `data` fields.
pub(crate) type EventBytes = Vec<u8>;

/// Cuts bytes into lines and lines into events.
#[derive(Debug, Default)]
pub(crate) struct SseDecoder {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
    after_first_line: bool,
    ready: VecDeque<EventBytes>,
}

/// An event grew beyond the limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EventTooLarge;

impl SseDecoder {
    /// Takes bytes in. A character or a line may be cut anywhere.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), EventTooLarge> {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            match piece.split_last() {
                Some((b'\n', [])) if self.after_cr => self.after_cr = false,
                Some((end @ (b'\n' | b'\r'), rest)) => {
                    self.line.extend_from_slice(rest);
                    self.after_cr = *end == b'\r';
                    self.end_line();
                }
                _ => {
                    self.line.extend_from_slice(piece);
                    self.after_cr = false;
                }
            }
            if self.line.len() + self.data.len() > MAX_EVENT_BYTES {
                return Err(EventTooLarge);
            }
        }
        Ok(())
    }

    /// The next complete event.
    pub(crate) fn next_event(&mut self) -> Option<EventBytes> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let mut text = line.as_slice();
        if !std::mem::replace(&mut self.after_first_line, true) {
            text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        }
        if text.is_empty() {
            self.end_event();
        } else if text == b"data" {
            self.add_data(b"");
        } else if let Some(value) = text.strip_prefix(b"data:") {
            self.add_data(value.strip_prefix(b" ").unwrap_or(value));
        }
    }

    fn add_data(&mut self, value: &[u8]) {
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
    }

    fn end_event(&mut self) {
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) {
            self.ready.push_back(data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Vec<String> {
        let mut decoder = SseDecoder::default();
        for piece in pieces {
            decoder.push(piece).unwrap();
        }
        std::iter::from_fn(|| decoder.next_event())
            .map(|event| String::from_utf8(event).unwrap())
            .collect()
    }

    #[test]
    fn every_line_end_comment_and_field_of_the_format_is_read() {
        for (bytes, events) in [
            ("data: a\n\ndata:b\n\n", vec!["a", "b"]),
            ("data: a\r\n\r\ndata: b\r\r", vec!["a", "b"]),
            ("\u{FEFF}data: a\n\n", vec!["a"]),
            (": ping\n\nid: 3\nevent: x\nretry: 5\ndata: a\ndata\ndata:  b\n\n", vec!["a\n\n b"]),
            ("event: only\n\ndata\n\n", vec![""]),
            ("database: no\ndata: never ended\n", vec![]),
        ] {
            assert_eq!(decode(&[bytes.as_bytes()]), events, "{bytes:?}");
        }
    }

    #[test]
    fn cuts_at_any_byte_change_nothing() {
        let bytes = "\u{FEFF}: p\r\ndata: żółć 🦀\r\n\r\nid: 1\rdata: b\n\rdata: c\n\n".as_bytes();
        let whole = decode(&[bytes]);
        assert_eq!(whole, ["żółć 🦀", "b", "c"]);
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(decode(&[head, tail]), whole, "cut at {at}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut decoder = SseDecoder::default();
        let piece = vec![b'x'; 1 << 20];
        let pushed = (0..=64).map(|_| decoder.push(&piece)).collect::<Result<Vec<_>, _>>();
        assert_eq!(pushed, Err(EventTooLarge));
    }
}
