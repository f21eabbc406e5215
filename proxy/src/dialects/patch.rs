//! Changes single fields of a JSON object and leaves every other byte as it was.
//!
//! A request that stays in its own wire format is passed on like this: field order, number formats
//! and unknown fields survive, and a provider's prompt cache still recognises the beginning.

mod scan;

use serde_json::Value;
use std::{fmt, ops::Range};
use tollgate_types::{Error, Result};

/// An object and what shall be different in it.
#[derive(Debug)]
pub struct Patch<'a> {
    text: &'a str,
    fields: Vec<Field>,
    edits: Vec<(Range<usize>, String)>,
    added: Vec<(String, String)>,
}

#[derive(Debug)]
struct Field {
    key: String,
    /// Where the key stands, with its quotes.
    name: Range<usize>,
    value: Range<usize>,
}

impl<'a> Patch<'a> {
    /// Reads the fields of an object.
    ///
    /// # Errors
    /// `invalid_request` when it is no JSON object, or when a field is there twice, at any depth:
    /// readers disagree about which of the two counts, and one that was not looked at could get
    /// past permissions and budgets.
    pub fn of(body: &'a [u8]) -> Result<Self> {
        let invalid = |cause: &dyn fmt::Display| {
            Error::invalid("body", format!("the body is not a plain JSON object: {cause}"))
        };
        let text = std::str::from_utf8(body).map_err(|cause| invalid(&cause))?;
        let fields = scan::fields_of(text).map_err(|cause| invalid(&cause))?;
        Ok(Self { text, fields, edits: Vec::new(), added: Vec::new() })
    }

    fn field(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// The text of a field's value as it came.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.text.get(self.field(key)?.value.clone())
    }

    /// Gives a field a value; one that is not there is added at the end.
    pub fn set(&mut self, key: &str, value: &Value) {
        self.set_text(key, value.to_string());
    }

    /// As [`Patch::set`], with the value's JSON text.
    pub fn set_text(&mut self, key: &str, value: String) {
        match self.field(key).map(|field| field.value.clone()) {
            Some(place) => self.edits.push((place, value)),
            None => self.added.push((key.to_owned(), value)),
        }
    }

    /// Gives a field another name; one that is not there stays away.
    pub fn rename(&mut self, key: &str, name: &str) {
        if let Some(place) = self.field(key).map(|field| field.name.clone()) {
            self.edits.push((place, Value::from(name).to_string()));
        }
    }

    /// The patched object.
    pub fn finish(mut self) -> Vec<u8> {
        self.edits.sort_by_key(|(place, _)| place.start);
        let mut patched = String::with_capacity(self.text.len() + 64);
        let mut done = 0;
        for (place, value) in &self.edits {
            patched.push_str(self.text.get(done..place.start).unwrap_or_default());
            patched.push_str(value);
            done = place.end;
        }
        let rest = self.text.get(done..).unwrap_or_default();
        let Some(brace) = rest.rfind('}') else {
            patched.push_str(rest);
            return patched.into_bytes();
        };
        let (inside, tail) = rest.split_at(brace);
        let blank = inside.trim_end().len();
        let (inside, blank) = inside.split_at(blank);
        patched.push_str(inside);
        for (n, (key, value)) in self.added.iter().enumerate() {
            let comma = if n == 0 && self.fields.is_empty() { "" } else { "," };
            patched.push_str(&format!("{comma}{}:{value}", Value::from(key.as_str())));
        }
        patched.push_str(blank);
        patched.push_str(tail);
        patched.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, json};

    fn patched(body: &str, change: impl FnOnce(&mut Patch<'_>)) -> String {
        let mut patch = Patch::of(body.as_bytes()).unwrap();
        change(&mut patch);
        String::from_utf8(patch.finish()).unwrap()
    }

    #[test]
    fn only_the_named_fields_change() {
        let body = "{ \"model\" : \"a/b\",\n \"x\": [1.0, 2e3, \"\\u00e9}\"], \"m\": 5 }\n";
        let after = patched(body, |patch| {
            patch.set("m", &json!(3));
            patch.set("model", &json!("b"));
            patch.set("new", &json!({"a": true}));
            patch.rename("x", "y");
            patch.rename("absent", "z");
        });
        let expected = "{ \"model\" : \"b\",\n \"y\": [1.0, 2e3, \"\\u00e9}\"], \"m\": 3,\"new\":{\"a\":true} }\n";
        assert_eq!(after, expected);
        assert_eq!(patched(" {} ", |patch| patch.set("a", &json!(1))), " {\"a\":1} ");
        assert_eq!(patched(body, |_| {}), body);
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        let nested = b"{\"a\":[{\"b\":1.5,\"c\":null,\"b\":\"\"}]}";
        let twice = [&b"{\"a\":1,\"a\":2}"[..], b"{\"a\":1,\"\\u0061\":2}", nested];
        for body in twice.into_iter().chain([&b"[]"[..], b"{", b"\xff"]) {
            assert!(Patch::of(body).is_err(), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn a_patched_object_reads_as_if_it_had_been_changed_as_a_value(
            fields in proptest::collection::btree_map("[a-f\"\\\\é{}:,]{0,3}", "\\PC{0,6}", 0..6),
            key in "[a-f\"\\\\é{}:,]{0,3}", value in "\\PC{0,6}", pretty: bool,
        ) {
            let mut object: Map<String, Value> =
                fields.into_iter().map(|(key, text)| (key, json!([text]))).collect();
            let text = if pretty {
                serde_json::to_string_pretty(&object).unwrap()
            } else {
                serde_json::to_string(&object).unwrap()
            };
            let after = patched(&text, |patch| patch.set(&key, &json!(value)));
            object.insert(key, json!(value));
            prop_assert_eq!(serde_json::from_str::<Value>(&after).unwrap(), Value::Object(object));
        }
    }
}
