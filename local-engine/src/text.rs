//! Bytes of tokens to text: characters that straddle tokens are put together, and nothing of a
//! stop string is let out.

use std::collections::VecDeque;
use tollgate_types::TokenLogprob;

/// Text that is certain, with the log-probabilities of its tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) logprobs: Vec<TokenLogprob>,
}

/// Turns the bytes of tokens into text.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    utf8: Utf8,
    stops: Stops,
    received: usize,
    released: usize,
    held: VecDeque<(usize, TokenLogprob)>,
}

impl Assembler {
    /// An assembler that stops at any of the texts.
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self { stops: Stops { stops, held: String::new() }, ..Self::default() }
    }

    /// Takes the bytes of one token. `true`: a stop string was met and the piece is the last.
    pub(crate) fn push(&mut self, bytes: &[u8], logprob: Option<TokenLogprob>) -> (Piece, bool) {
        self.held.extend(logprob.map(|logprob| (self.received, logprob)));
        self.received += bytes.len();
        let text = self.utf8.push(bytes);
        let (text, stopped) = self.stops.push(&text);
        (self.release(text), stopped)
    }

    /// The text that was held back. A character that never became whole is left out.
    pub(crate) fn finish(&mut self) -> Piece {
        let text = std::mem::take(&mut self.stops.held);
        self.release(text)
    }

    /// A log-probability leaves with the first byte of its token.
    fn release(&mut self, text: String) -> Piece {
        self.released += text.len();
        let mut logprobs = Vec::new();
        while self.held.front().is_some_and(|(start, _)| *start < self.released) {
            logprobs.extend(self.held.pop_front().map(|(_, logprob)| logprob));
        }
        Piece { text, logprobs }
    }
}

/// Puts characters together that straddle tokens. Bytes that can never become one turn into U+FFFD.
#[derive(Debug, Default)]
struct Utf8(Vec<u8>);

impl Utf8 {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let mut text = String::new();
        let mut whole = 0;
        for chunk in self.0.utf8_chunks() {
            text.push_str(chunk.valid());
            whole += chunk.valid().len();
            let broken = chunk.invalid();
            let at_the_end = whole + broken.len() == self.0.len();
            if broken.is_empty() || (at_the_end && may_grow(broken)) {
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            whole += broken.len();
        }
        self.0.drain(..whole);
        text
    }
}

/// Whether more bytes could make a character of these.
fn may_grow(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// Holds text back while it could still be the beginning of a stop string.
#[derive(Debug, Default)]
struct Stops {
    stops: Vec<String>,
    held: String,
}

impl Stops {
    fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let hit = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = hit {
            self.held.truncate(at);
            return (std::mem::take(&mut self.held), true);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }
}

/// Length of the longest end of `text` that is a proper beginning of `mark`.
pub(crate) fn overlap(text: &str, mark: &str) -> usize {
    let lengths = mark.char_indices().map(|(at, _)| at);
    lengths.rev().find(|n| mark.get(..*n).is_some_and(|head| text.ends_with(head))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(pieces: &[&[u8]], stops: &[&str]) -> (String, bool) {
        let mut assembler = Assembler::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut out = String::new();
        for bytes in pieces {
            let (piece, stopped) = assembler.push(bytes, None);
            out.push_str(&piece.text);
            if stopped {
                return (out, true);
            }
        }
        out.push_str(&assembler.finish().text);
        (out, false)
    }

    #[test]
    fn a_stop_string_that_straddles_tokens_never_leaks() {
        let pieces: [&[u8]; 5] = [b"ab<", b"/e", b"x ST", b"Oy </en", b"d> tail"];
        assert_eq!(run(&pieces, &["</end>", "STOP"]), ("ab</ex STOy ".into(), true));
    }

    #[test]
    fn the_earliest_of_several_stop_strings_wins() {
        assert_eq!(run(&[b"one two three"], &["three", "two"]), ("one ".into(), true));
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced_and_an_unfinished_character_is_left_out() {
        assert_eq!(run(&[&[0xff, b'a']], &[]), ("\u{fffd}a".into(), false));
        assert_eq!(run(&["ab한".as_bytes().get(..4).unwrap()], &[]), ("ab".into(), false));
    }

    #[test]
    fn logprobs_leave_with_their_text_and_those_of_the_stop_string_do_not() {
        let logprob = |token: &str| TokenLogprob { token: token.into(), ..TokenLogprob::default() };
        let mut assembler = Assembler::new(vec!["STOP".into()]);
        let (first, _) = assembler.push(b"a S", Some(logprob("a S")));
        assert_eq!((first.text.as_str(), first.logprobs.len()), ("a ", 1));
        let (second, stopped) = assembler.push(b"TOP", Some(logprob("TOP")));
        assert!(stopped);
        assert_eq!(second, Piece::default());
    }

    /// Cuts bytes at the given places.
    fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
    }

    proptest! {
        #[test]
        fn any_split_of_text_gives_the_text(
            text in "\\PC{0,24}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            prop_assert_eq!(run(&cut(text.as_bytes(), &cuts), &[]), (text, false));
        }

        #[test]
        fn any_split_stops_where_the_whole_text_would(
            text in "[ab한😀]{0,24}",
            stops in prop::collection::vec("[ab한]{1,3}", 1..3),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        ) {
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let (out, stopped) = run(&cut(text.as_bytes(), &cuts), &stops);
            prop_assert!(text.starts_with(&out));
            prop_assert!(stops.iter().all(|stop| !out.contains(stop)));
            prop_assert_eq!(stopped, stops.iter().any(|stop| text.contains(stop)));
            prop_assert!(stopped || out == text);
        }
    }
}
