//! How long a value is as JSON, without writing it.

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Error;

type Counted = Result<(), Error>;

/// The length of a value as JSON without blanks, bytes: that of `serde_json::to_vec`.
///
/// # Errors
/// When the value cannot be written.
pub(super) fn length_of(value: &impl Serialize) -> Result<usize, Error> {
    let mut counter = Counter { bytes: 0, is_number: false };
    value.serialize(&mut counter)?;
    Ok(counter.bytes)
}

struct Counter {
    bytes: usize,
    /// What was counted last was a number: as a key it stands in quotes.
    is_number: bool,
}

impl Counter {
    fn add(&mut self, bytes: usize) -> Counted {
        self.bytes = self.bytes.saturating_add(bytes);
        self.is_number = false;
        Ok(())
    }

    fn number(&mut self, written: &str) -> Counted {
        self.add(written.len())?;
        self.is_number = true;
        Ok(())
    }

    /// `{"name":` and `}` around what a variant holds.
    fn variant(&mut self, name: &str) -> Counted {
        self.add(3)?;
        self.serialize_str(name)
    }

    fn open(&mut self) -> Open<'_> {
        self.bytes = self.bytes.saturating_add(2);
        Open { counter: self, any: false }
    }
}

/// How much longer a text is for what JSON cannot hold as it is. Without branches, so that many bytes
/// are looked at at once.
fn escapes(text: &str) -> usize {
    let more = |byte: u8| {
        let short = matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C);
        u8::from(short) + 5 * u8::from(!short & (byte < 0x20))
    };
    // No byte counts for more than 5, so the sum of 51 fits into a byte.
    let of_some = |some: &[u8]| some.iter().map(|byte| more(*byte)).fold(0u8, u8::wrapping_add);
    text.as_bytes().chunks(48).map(|some| usize::from(of_some(some))).sum()
}

/// A list or an object that is not closed yet.
struct Open<'c> {
    counter: &'c mut Counter,
    any: bool,
}

impl Open<'_> {
    fn comma(&mut self) {
        let comma = usize::from(std::mem::replace(&mut self.any, true));
        self.counter.bytes = self.counter.bytes.saturating_add(comma);
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Counted {
        self.comma();
        value.serialize(&mut *self.counter)
    }

    fn field<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Counted {
        self.comma();
        self.counter.serialize_str(key)?;
        self.counter.add(1)?;
        value.serialize(&mut *self.counter)
    }
}

macro_rules! numbers {
    ($($method:ident: $kind:ty,)*) => {
        $(fn $method(self, value: $kind) -> Counted {
            self.number(&value.to_string())
        })*
    };
}

impl<'c> Serializer for &'c mut Counter {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'c>;
    type SerializeTuple = Open<'c>;
    type SerializeTupleStruct = Open<'c>;
    type SerializeTupleVariant = Open<'c>;
    type SerializeMap = Open<'c>;
    type SerializeStruct = Open<'c>;
    type SerializeStructVariant = Open<'c>;

    numbers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i128: i128, serialize_u128: u128,
    }

    fn serialize_bool(self, value: bool) -> Counted {
        self.add(if value { 4 } else { 5 })
    }

    fn serialize_f32(self, value: f32) -> Counted {
        self.number(&serde_json::to_string(&value)?)
    }

    fn serialize_f64(self, value: f64) -> Counted {
        self.number(&serde_json::to_string(&value)?)
    }

    fn serialize_char(self, value: char) -> Counted {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Counted {
        self.add(value.len() + escapes(value) + 2)
    }

    fn serialize_bytes(self, _: &[u8]) -> Counted {
        Err(Error::custom("bytes have no place in a request"))
    }

    fn serialize_none(self) -> Counted {
        self.add(4)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Counted {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Counted {
        self.add(4)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Counted {
        self.add(4)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Counted {
        self.serialize_str(name)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Counted {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Counted {
        self.variant(name)?;
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'c>, Error> {
        Ok(self.open())
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'c>, Error> {
        Ok(self.open())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Open<'c>, Error> {
        Ok(self.open())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Open<'c>, Error> {
        self.variant(name)?;
        Ok(self.open())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'c>, Error> {
        Ok(self.open())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Open<'c>, Error> {
        Ok(self.open())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Open<'c>, Error> {
        self.variant(name)?;
        Ok(self.open())
    }
}

macro_rules! lists {
    ($($kind:ident: $method:ident,)*) => {
        $(impl $kind for Open<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Counted {
                self.item(value)
            }

            fn end(self) -> Counted {
                Ok(())
            }
        })*
    };
}

lists! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

macro_rules! objects {
    ($($kind:ident,)*) => {
        $(impl $kind for Open<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Counted {
                self.field(key, value)
            }

            fn end(self) -> Counted {
                Ok(())
            }
        })*
    };
}

objects! { SerializeStruct, SerializeStructVariant, }

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Counted {
        self.item(key)?;
        // And the colon.
        let quotes = if self.counter.is_number { 3 } else { 1 };
        self.counter.add(quotes)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Counted {
        value.serialize(&mut *self.counter)
    }

    fn end(self) -> Counted {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use tollgate_types::GenerateRequest;

    #[track_caller]
    fn check(value: &impl Serialize) {
        assert_eq!(length_of(value).unwrap(), serde_json::to_vec(value).unwrap().len());
    }

    #[test]
    fn a_request_is_as_long_as_when_it_is_written() {
        let text: String = (0..=0x80u8).map(char::from).chain(['é', '🦀', '\u{2028}']).collect();
        let request = json!({"model": "m", "choices": 2, "store": false,
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": text}]},
                {"role": "user", "content": [{"type": "media", "media_type": "image/png",
                    "source": {"base64": "AA=="}}], "extras": {"openai": {"x": [1, -2.5, null]}}},
                {"role": "tool", "content": [{"type": "tool_result", "call_id": "c",
                    "content": [{"type": "text", "text": ""}]}]}],
            "tools": [{"type": "function", "name": "f", "parameters": {"a": {}}}],
            "sampling": {"temperature": 0.1, "seed": -3, "stop": ["\n", text]},
            "output": {"type": "json_schema", "name": "n", "schema": {"b": true}, "strict": true}});
        let request: GenerateRequest = serde_json::from_value(request).unwrap();
        assert_eq!(request.messages.len(), 3);
        check(&request);
    }

    #[test]
    fn every_kind_of_value_is_counted() {
        #[derive(serde::Serialize)]
        enum Kind {
            Unit,
            New(u8),
            Tuple(u8, f32),
            Struct { a: char, b: Option<()> },
        }
        check(&[Kind::Unit, Kind::New(3), Kind::Tuple(1, 0.5), Kind::Struct { a: '"', b: None }]);
        check(&BTreeMap::from([(-1, ("x", 1u64)), (12, ("", 2))]));
        check(&(f64::NAN, 1e300, -0.0, i64::MIN, u128::MAX, Some(true), ()));
    }

    proptest! {
        #[test]
        fn any_text_is_counted(text in "[\\x00-\\x7f\\PC]{0,200}", key in "\\PC{0,8}") {
            check(&json!({key: [Value::from(text)]}));
        }
    }
}
