//! Reads JSON for nothing but where the fields of an object stand, and whether a field is there twice.
//!
//! A body that is passed on can be large and goes through here on every call, so its strings are
//! searched, not copied. What is accepted is exactly what `serde_json` accepts.

use memchr::memchr2;
use std::{borrow::Cow, collections::HashSet, ops::Range};

use super::Field;

/// As deep as `serde_json` reads.
const DEEPEST: u8 = 127;
/// In an object with more fields than this a name is looked up by its hash.
const FEW: usize = 16;

/// What is wrong with a document.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("not JSON at byte {0}")]
    Syntax(usize),
    #[error("nested too deeply at byte {0}")]
    Depth(usize),
    #[error("the field {0} is there twice")]
    Twice(String),
    #[error("not an object")]
    NoObject,
}

/// The fields of an object, in their order.
///
/// # Errors
/// When the text is no object, or a field is there twice, at any depth.
pub(super) fn fields_of(text: &str) -> Result<Vec<Field>, Wrong> {
    let mut scan = Scan { text, at: 0, depth: 0 };
    scan.skip_blank();
    if scan.peek() != Some(b'{') {
        return Err(Wrong::NoObject);
    }
    let mut fields = Vec::new();
    scan.object(|key, name, value| fields.push(Field { key: key.to_owned(), name, value }))?;
    scan.skip_blank();
    if scan.at == text.len() { Ok(fields) } else { Err(scan.wrong()) }
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

impl<'a> Scan<'a> {
    fn wrong(&self) -> Wrong {
        Wrong::Syntax(self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn skip_blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Wrong> {
        if self.take(byte) { Ok(()) } else { Err(self.wrong()) }
    }

    fn value(&mut self) -> Result<(), Wrong> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(|_, _, _| {}),
            Some(b'[') => self.list(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Wrong> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.wrong());
        }
        self.at += word.len();
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), Wrong> {
        self.depth += 1;
        if self.depth > DEEPEST { Err(Wrong::Depth(self.at)) } else { Ok(()) }
    }

    fn list(&mut self) -> Result<(), Wrong> {
        self.deeper()?;
        self.at += 1;
        self.skip_blank();
        if !self.take(b']') {
            loop {
                self.skip_blank();
                self.value()?;
                self.skip_blank();
                if !self.take(b',') {
                    break;
                }
            }
            self.expect(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Tells each field: its name, where that stands with its quotes, and where its value stands.
    fn object(
        &mut self,
        mut tell: impl FnMut(&str, Range<usize>, Range<usize>),
    ) -> Result<(), Wrong> {
        self.deeper()?;
        self.at += 1;
        self.skip_blank();
        if !self.take(b'}') {
            let mut seen = Seen::default();
            loop {
                self.skip_blank();
                let start = self.at;
                let key = self.string()?.name(self.text)?;
                let name = start..self.at;
                self.skip_blank();
                self.expect(b':')?;
                self.skip_blank();
                let start = self.at;
                self.value()?;
                tell(&key, name, start..self.at);
                seen.add(key)?;
                self.skip_blank();
                if !self.take(b',') {
                    break;
                }
            }
            self.expect(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn string(&mut self) -> Result<Text, Wrong> {
        let start = self.at;
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            let found = memchr2(b'"', b'\\', self.rest()).ok_or_else(|| self.wrong())?;
            let plain = self.rest().get(..found).unwrap_or_default();
            // Without a branch for each byte, so that many are looked at at once.
            if plain.iter().fold(false, |any, byte| any | (*byte < 0x20)) {
                return Err(self.wrong());
            }
            self.at += found;
            if self.take(b'"') {
                return Ok(Text { place: start..self.at, escaped });
            }
            escaped = true;
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), Wrong> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.unit()? {
                0xD800..=0xDBFF if self.take(b'\\') && self.peek() == Some(b'u') => {
                    let second = self.unit()?;
                    if (0xDC00..=0xDFFF).contains(&second) { Ok(()) } else { Err(self.wrong()) }
                }
                0xD800..=0xDFFF => Err(self.wrong()),
                _ => Ok(()),
            },
            _ => Err(self.wrong()),
        }
    }

    /// `uXXXX`.
    fn unit(&mut self) -> Result<u32, Wrong> {
        let digits = self.text.get(self.at + 1..self.at + 5).ok_or_else(|| self.wrong())?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.wrong());
        }
        self.at += 5;
        u32::from_str_radix(digits, 16).map_err(|_| self.wrong())
    }

    fn digits(&mut self) -> Result<(), Wrong> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.wrong()) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Wrong> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        let number = self.text.get(start..self.at).unwrap_or_default();
        let may_be_large = number.len() > 15 || number.contains(['e', 'E']);
        if may_be_large && !number.parse().is_ok_and(f64::is_finite) {
            return Err(Wrong::Syntax(start));
        }
        Ok(())
    }
}

/// A string's place, with its quotes.
struct Text {
    place: Range<usize>,
    escaped: bool,
}

impl Text {
    fn name(self, text: &str) -> Result<Cow<'_, str>, Wrong> {
        let Range { start, end } = self.place;
        if self.escaped {
            let written = text.get(start..end).unwrap_or_default();
            return serde_json::from_str(written).map(Cow::Owned).map_err(|_| Wrong::Syntax(start));
        }
        Ok(Cow::Borrowed(text.get(start + 1..end - 1).unwrap_or_default()))
    }
}

/// The names of an object's fields so far.
#[derive(Default)]
struct Seen<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    fn add(&mut self, key: Cow<'a, str>) -> Result<(), Wrong> {
        if self.many.is_empty() && self.few.len() < FEW {
            if self.few.contains(&key) {
                return Err(Wrong::Twice(key.into_owned()));
            }
            self.few.push(key);
            return Ok(());
        }
        self.many.extend(self.few.drain(..));
        match self.many.replace(key) {
            Some(twice) => Err(Wrong::Twice(twice.into_owned())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
