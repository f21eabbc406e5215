//! Rows as one JSON parameter.

use super::StoreError;
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};
use std::{
    io::{Result as IoResult, Write},
    sync::Arc,
};

/// The rows as text. No database can hold the character NUL in a text that came out of JSON:
/// SQLite would cut the text short there. It becomes the replacement character.
pub(in crate::store) fn text(rows: impl Serialize) -> Result<String, StoreError> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    rows.serialize(&mut Serializer::with_formatter(&mut bytes, WithoutNul))?;
    String::from_utf8(bytes).map_err(|error| StoreError::Row(error.to_string()))
}

/// A text that is bound by itself, as it would come out of [`text`].
pub(in crate::store) fn without_nul(text: &str) -> Arc<str> {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}").into(),
        false => text.into(),
    }
}

struct WithoutNul;

impl Formatter for WithoutNul {
    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> IoResult<()> {
        match escape {
            CharEscape::AsciiControl(0) => writer.write_all(br"\ufffd"),
            other => CompactFormatter.write_char_escape(writer, other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_character_nul_is_replaced() {
        let nested = serde_json::to_string(&("a\0b", r"\u0000")).unwrap();
        let rows = [("a\0b\u{1}\n", r"\u0000", nested.as_str(), i64::MAX, i64::MIN)];
        let back: [(String, String, String, i64, i64); 1] =
            serde_json::from_str(&text(rows).unwrap()).unwrap();
        let [(first, second, third, most, least)] = back;
        assert_eq!(&*without_nul("a\0b\u{1}\n"), first);
        assert_eq!((first.as_str(), second.as_str()), ("a\u{fffd}b\u{1}\n", r"\u0000"));
        assert_eq!((third, most, least), (nested, i64::MAX, i64::MIN));
    }
}
