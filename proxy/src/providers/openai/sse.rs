//! Server-sent events out of bytes that arrive in any pieces; only `data` is kept.
//!
//! Written here because eventsource-stream 0.2.3 panics on a byte-order mark and keeps an endless
//! event in memory. The format: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::collections::VecDeque;

/// An event longer than this is refused, so that a broken upstream cannot fill the memory.
const MAX_EVENT_BYTES: usize = 32 << 20;

/// Cuts bytes into lines and lines into payloads.
#[derive(Debug, Default)]
pub(super) struct Sse {
    line: Vec<u8>,
    payload: Option<Vec<u8>>,
    after_cr: bool,
    any_line: bool,
    ready: VecDeque<String>,
}

/// An event grew beyond the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Sse {
    /// Takes bytes in; a character or a line may be cut anywhere.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            // CR LF is one line end, also when it is cut in two.
            let second_half = self.after_cr && end == Some(b'\n') && text.is_empty();
            self.after_cr = end == Some(b'\r');
            self.line.extend_from_slice(text);
            if end.is_some() && !second_half {
                self.end_line();
            }
            if self.line.len() + self.payload.as_ref().map_or(0, Vec::len) > MAX_EVENT_BYTES {
                return Err(TooLarge);
            }
        }
        Ok(())
    }

    /// The bytes have ended: some hosts leave out the last blank line.
    pub(super) fn end(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.dispatch();
    }

    /// The next payload.
    pub(super) fn next(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.any_line, true) && line.starts_with(b"\xEF\xBB\xBF") {
            line.drain(..3);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let Some(value) = line.strip_prefix(b"data") else { return };
        let value = match value.strip_prefix(b":") {
            Some(value) => value.strip_prefix(b" ").unwrap_or(value),
            None if value.is_empty() => value,
            None => return,
        };
        match &mut self.payload {
            Some(payload) => {
                payload.push(b'\n');
                payload.extend_from_slice(value);
            }
            None => self.payload = Some(value.to_vec()),
        }
    }

    fn dispatch(&mut self) {
        if let Some(payload) = self.payload.take() {
            self.ready.push_back(String::from_utf8_lossy(&payload).into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}data: one\r\n\r\n: comment\r\nevent: x\r\ndata:größe\ndata: two\n\n\
                          database: no\n\ndata\r\rid: 7\ndata: last";

    fn payloads(pieces: &[&[u8]]) -> Vec<String> {
        let mut sse = Sse::default();
        for piece in pieces {
            sse.push(piece).unwrap();
        }
        sse.end();
        std::iter::from_fn(|| sse.next()).collect()
    }

    #[test]
    fn every_cut_gives_the_same_payloads() {
        let bytes = STREAM.as_bytes();
        let whole = payloads(&[bytes]);
        assert_eq!(whole, ["one", "größe\ntwo", "", "last"]);
        for at in 0..bytes.len() {
            assert_eq!(payloads(&[&bytes[..at], &bytes[at..]]), whole, "cut at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(payloads(&single), whole);
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut sse = Sse::default();
        let megabyte = vec![b'x'; 1 << 20];
        assert!((0..40).any(|_| sse.push(&megabyte) == Err(TooLarge)));
    }
}
