//! Server-sent events out of bytes that arrive in any pieces: no I/O, only `data` and a number as
//! `id` are kept, because on every wire that Tollgate speaks the data names the event.
//!
//! Written here because eventsource-stream 0.2.3 slices a string at byte 1 after a byte-order mark,
//! which panics, and keeps an endless event in memory: a peer could use either.
//! The format: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::{collections::VecDeque, fmt};

/// An event longer than this is refused, so that a broken peer cannot fill the memory.
const MAX_EVENT_BYTES: usize = 64 << 20;
/// As much of the lines outside of the format as is kept.
const MAX_STRAY_BYTES: usize = 64 << 10;

/// Cuts bytes into lines and lines into payloads.
#[derive(Debug, Default)]
pub struct SseDecoder {
    line: Vec<u8>,
    payload: Option<Vec<u8>>,
    after_cr: bool,
    any_line: bool,
    stray: Vec<u8>,
    id: Option<u64>,
    ready: VecDeque<(Option<u64>, Vec<u8>)>,
}

/// An event grew beyond 64 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTooLarge;

impl fmt::Display for EventTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event is larger than 64 MiB")
    }
}

impl std::error::Error for EventTooLarge {}

impl SseDecoder {
    /// Takes bytes in; a character or a line may be cut anywhere.
    ///
    /// # Errors
    /// When an event grows beyond 64 MiB.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), EventTooLarge> {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, tail) = rest.split_at(at);
            let Some((end, tail)) = tail.split_first() else { break };
            rest = tail;
            // CR LF is one line end, also when it is cut in two.
            let second_half = self.after_cr && *end == b'\n' && text.is_empty();
            self.after_cr = *end == b'\r';
            if self.line.is_empty() {
                if !second_half {
                    self.end_line(text);
                }
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(text);
                self.end_line(&line);
            }
            self.check()?;
        }
        if !rest.is_empty() {
            self.after_cr = false;
            self.line.extend_from_slice(rest);
        }
        self.check()
    }

    fn check(&self) -> Result<(), EventTooLarge> {
        let held = self.line.len() + self.payload.as_ref().map_or(0, Vec::len);
        if held > MAX_EVENT_BYTES { Err(EventTooLarge) } else { Ok(()) }
    }

    /// The bytes have ended: what is left counts as an event, because some hosts leave out the
    /// last blank line. Not for a peer that may have been cut off.
    pub fn end(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line);
        }
        self.dispatch();
    }

    /// The `data` of the next complete event.
    pub fn next_data(&mut self) -> Option<Vec<u8>> {
        self.ready.pop_front().map(|(_, data)| data)
    }

    /// The `id` of the next complete event, where it is a number, and its `data`.
    pub fn next_numbered(&mut self) -> Option<(Option<u64>, Vec<u8>)> {
        self.ready.pop_front()
    }

    /// The lines that belong to no field of the format, which readers have to ignore: Google puts
    /// the error that breaks a stream there. At most 64 KiB are kept.
    pub fn take_stray(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.stray)
    }

    fn end_line(&mut self, line: &[u8]) {
        let marked = !std::mem::replace(&mut self.any_line, true);
        let line = line.strip_prefix(b"\xEF\xBB\xBF").filter(|_| marked).unwrap_or(line);
        if line.is_empty() {
            return self.dispatch();
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        match name {
            b"data" => self.add(value.strip_prefix(b" ").unwrap_or(value)),
            b"id" => self.id = number(value.strip_prefix(b" ").unwrap_or(value)),
            b"" | b"event" | b"retry" => {}
            _ if self.stray.len() + line.len() < MAX_STRAY_BYTES => {
                self.stray.extend_from_slice(line);
                self.stray.push(b'\n');
            }
            _ => {}
        }
    }

    fn add(&mut self, value: &[u8]) {
        match &mut self.payload {
            Some(payload) => {
                payload.push(b'\n');
                payload.extend_from_slice(value);
            }
            None => self.payload = Some(value.to_vec()),
        }
    }

    fn dispatch(&mut self) {
        let id = self.id.take();
        if let Some(payload) = self.payload.take() {
            self.ready.push_back((id, payload));
        }
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let mut decoder = SseDecoder::default();
        pieces.iter().for_each(|piece| decoder.push(piece).unwrap());
        std::iter::from_fn(|| decoder.next_data())
            .map(|data| String::from_utf8(data).unwrap())
            .collect()
    }

    #[test]
    fn every_line_end_comment_and_field_of_the_format_is_read() {
        for (bytes, expected) in [
            ("data: a\n\ndata:b\n\n", vec!["a", "b"]),
            ("data: a\r\n\r\ndata: b\r\r", vec!["a", "b"]),
            ("\u{FEFF}data: a\n\n", vec!["a"]),
            (": ping\n\nid: 3\nevent: x\nretry: 5\ndata: a\ndata\ndata:  b\n\n", vec!["a\n\n b"]),
            ("event: only\n\ndata\n\n", vec![""]),
            ("database: no\ndata: never ended\n", vec![]),
        ] {
            assert_eq!(events(&[bytes.as_bytes()]), expected, "{bytes:?}");
        }
    }

    #[test]
    fn cuts_at_any_byte_change_nothing() {
        let bytes = "\u{FEFF}: p\r\ndata: żółć 🦀\r\n\r\nid: 1\rdata: b\n\rdata: c\n\n".as_bytes();
        let whole = events(&[bytes]);
        assert_eq!(whole, ["żółć 🦀", "b", "c"]);
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(events(&[head, tail]), whole, "cut at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events(&single), whole);
    }

    #[test]
    fn an_event_has_the_number_that_stands_beside_it() {
        let mut decoder = SseDecoder::default();
        decoder.push(b"id: 7\ndata: a\n\ndata: b\n\ndata: c\nid:x\n\nid:8\n\ndata: d\n\n").unwrap();
        let numbers: Vec<_> = std::iter::from_fn(|| decoder.next_numbered()).collect();
        assert_eq!(
            numbers.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            [Some(7), None, None, None]
        );
    }

    #[test]
    fn lines_outside_of_the_format_are_kept_apart() {
        let mut decoder = SseDecoder::default();
        decoder.push(b"data: a\r\n\r\n: c\nid: 1\n{\n  \"error\": {\"code\": 499}\n}\n\n").unwrap();
        assert_eq!(decoder.next_data(), Some(b"a".to_vec()));
        assert_eq!(decoder.next_data(), None);
        assert_eq!(decoder.take_stray(), b"{\n  \"error\": {\"code\": 499}\n}\n");
        assert_eq!(decoder.take_stray(), b"");
        let line = [&b"x".repeat(MAX_STRAY_BYTES / 2)[..], b"\n"].concat();
        (0..8).for_each(|_| decoder.push(&line).unwrap());
        assert!(decoder.take_stray().len() <= MAX_STRAY_BYTES);
    }

    #[test]
    fn an_end_without_a_blank_line_can_be_accepted() {
        let mut decoder = SseDecoder::default();
        decoder.push(b"data: last").unwrap();
        assert_eq!(decoder.next_data(), None);
        decoder.end();
        assert_eq!(decoder.next_data(), Some(b"last".to_vec()));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut decoder = SseDecoder::default();
        let megabyte = vec![b'x'; 1 << 20];
        assert!((0..=64).any(|_| decoder.push(&megabyte) == Err(EventTooLarge)));
    }
}
