//! Field names: Google takes `systemInstruction` and `system_instruction` alike, and its clients
//! send both. Inside we read camel case.

use serde_json::{Map, Value};
use std::borrow::Cow;
use tollgate_types::{Error, Result};

use crate::dialects::fields::{Fields, numbered, wrong_type};

/// The camel-case spelling of a name. Names that begin with an underscore are left alone.
pub(super) fn camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') || name.starts_with('_') {
        return Cow::Borrowed(name);
    }
    let mut spelt = String::with_capacity(name.len());
    for (at, word) in name.split('_').enumerate() {
        let mut letters = word.chars();
        match letters.next() {
            Some(first) if at > 0 => spelt.push(first.to_ascii_uppercase()),
            Some(first) => spelt.push(first),
            None => {}
        }
        spelt.extend(letters);
    }
    Cow::Owned(spelt)
}

/// Reads an object found at a path, its own names in camel case.
///
/// # Errors
/// `invalid_request` when it is no object, or when a field is there in both spellings: it could
/// not be said which of them counts.
pub(super) fn object_at(path: String, value: Value) -> Result<Fields> {
    let Value::Object(map) = value else {
        return Err(wrong_type(&path, "an object", &value));
    };
    let mut spelt = Map::with_capacity(map.len());
    for (key, value) in map {
        let name = camel(&key).into_owned();
        if spelt.insert(name.clone(), value).is_some() {
            let place = if path.is_empty() { name } else { format!("{path}.{name}") };
            let message = format!("{place} is there twice, in two spellings");
            return Err(Error::invalid(place, message));
        }
    }
    Fields::of(path, Value::Object(spelt))
}

/// An object that is a field of another.
///
/// # Errors
/// As [`object_at`].
pub(super) fn object_in(fields: &mut Fields, key: &str) -> Result<Option<Fields>> {
    let path = fields.path_of(key);
    fields.take(key).map(|value| object_at(path, value)).transpose()
}

/// The elements of a list; a lone object stands for a list of one, as Google reads it.
///
/// # Errors
/// `invalid_request` when it is neither.
pub(super) fn list_or_one(fields: &mut Fields, key: &str) -> Result<Option<Vec<(String, Value)>>> {
    let path = fields.path_of(key);
    match fields.take(key) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(numbered(&path, items))),
        Some(one @ Value::Object(_)) => Ok(Some(vec![(path, one)])),
        Some(other) => Err(wrong_type(&path, "a list", &other)),
    }
}

/// A whole number; Google also takes `8.0` and `"8"`.
///
/// # Errors
/// `invalid_request` when it is none, or does not fit.
pub(super) fn whole(fields: &mut Fields, key: &str) -> Result<Option<u32>> {
    let path = fields.path_of(key);
    let Some(value) = fields.take(key) else { return Ok(None) };
    let read = match &value {
        Value::String(text) => text.parse().ok(),
        other => crate::dialects::counts::count(other).and_then(|n| u32::try_from(n).ok()),
    };
    read.map(Some).ok_or_else(|| wrong_type(&path, "a whole number from 0", &value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_spellings_are_one_name_and_both_at_once_are_refused() {
        for (name, spelt) in [
            ("system_instruction", "systemInstruction"),
            ("top_p", "topP"),
            ("topP", "topP"),
            ("_private_x", "_private_x"),
            ("a__b_", "aB"),
        ] {
            assert_eq!(camel(name), spelt);
        }
        let twice = json!({"top_p": 1, "topP": 2});
        let error = object_at("generationConfig".into(), twice).err().unwrap();
        assert_eq!(error.body().param.as_deref(), Some("generationConfig.topP"));
    }

    #[test]
    fn whole_numbers_come_in_three_spellings() {
        let read =
            |value: Value| whole(&mut Fields::of(String::new(), json!({"n": value})).unwrap(), "n");
        for value in [json!(8), json!(8.0), json!("8")] {
            assert_eq!(read(value).unwrap(), Some(8));
        }
        for value in [json!(-1), json!(1.5), json!("x"), json!(true), json!(u64::MAX)] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }
}
