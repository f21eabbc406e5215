//! Times that two processes can compare, and how they travel inside of an answer.

use memchr::memmem::Finder;
use rustix::time::{ClockId, clock_gettime};

/// What stands before a time.
const MARK: &str = "~t";

/// Hexadecimal digits after it.
const DIGITS: usize = 16;

/// Nanoseconds of the clock that all processes of this machine share.
pub(super) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

/// A time as text, of one length always.
pub(super) fn stamp(time_ns: u64) -> String {
    format!("{MARK}{time_ns:0DIGITS$x}")
}

/// Finds the stamps in a text that comes in pieces.
#[derive(Debug)]
pub(super) struct Stamps {
    finder: Finder<'static>,
    /// The end of the piece before, where a stamp may have begun.
    carried: Vec<u8>,
}

impl Stamps {
    pub(super) fn new() -> Self {
        Self { finder: Finder::new(MARK), carried: Vec::new() }
    }

    /// Calls `found` for each stamp that ends in this piece.
    pub(super) fn read(&mut self, piece: &[u8], mut found: impl FnMut(u64)) {
        if self.carried.is_empty() {
            let rest = self.scan(piece, &mut found);
            self.carried.extend_from_slice(rest);
        } else {
            let mut whole = std::mem::take(&mut self.carried);
            whole.extend_from_slice(piece);
            let rest = self.scan(&whole, &mut found);
            self.carried.extend_from_slice(rest);
        }
    }

    /// Returns what may be the beginning of another one.
    fn scan<'a>(&self, text: &'a [u8], found: &mut impl FnMut(u64)) -> &'a [u8] {
        let mut rest = text;
        while let Some(at) = self.finder.find(rest) {
            let digits = at + MARK.len();
            let Some(stamp) = rest.get(digits..digits + DIGITS) else {
                return rest.get(at..).unwrap_or_default();
            };
            if let Some(time) = parse(stamp) {
                found(time);
            }
            rest = rest.get(digits + DIGITS..).unwrap_or_default();
        }
        let half = rest.len().saturating_sub(MARK.len() - 1);
        rest.get(half..).filter(|end| MARK.as_bytes().starts_with(end)).unwrap_or_default()
    }
}

fn parse(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_found_however_the_text_is_cut() {
        let times = [1, u64::MAX, 0x1234_5678_9abc];
        let text: String = times.map(|time| format!("some text ~ {} ", stamp(time))).concat();
        for size in 1..text.len() {
            let (mut stamps, mut found) = (Stamps::new(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                stamps.read(piece, |time| found.push(time));
            }
            assert_eq!(found, times, "in pieces of {size}");
        }
    }

    #[test]
    fn time_goes_on() {
        let before = now_ns();
        assert!(before > 0 && now_ns() >= before);
    }
}
