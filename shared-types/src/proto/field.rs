//! Fields that are JSON text, numbers that have to fit, and where in a message a wrong one is.

use crate::{Error, Extras, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A field is wrong.
pub(super) fn wrong(field: &str, why: impl Into<String>) -> Error {
    Error::invalid(field, why)
}

/// Says further up where a wrong field is.
pub(super) trait At<T> {
    /// Puts a path before the field's own.
    fn at(self, path: impl FnOnce() -> String) -> Result<T>;
    /// Puts the whole path into the sentence. Done once, by the whole message.
    fn told(self) -> Result<T>;
}

impl<T> At<T> for Result<T> {
    fn at(self, path: impl FnOnce() -> String) -> Self {
        self.map_err(|error| {
            error.with(|body| {
                let path = path();
                body.param = Some(match body.param.as_deref() {
                    None | Some("") => path,
                    Some(field) => format!("{path}.{field}"),
                });
            })
        })
    }

    fn told(self) -> Self {
        self.map_err(|error| {
            error.with(|body| {
                if let Some(param) = &body.param {
                    body.message = format!("{param}: {}", body.message);
                }
            })
        })
    }
}

/// Converts what may be absent.
pub(super) fn one<A, B: TryFrom<A, Error = Error>>(
    value: Option<A>,
    name: &str,
) -> Result<Option<B>> {
    value.map(B::try_from).transpose().at(|| name.to_owned())
}

/// Converts a list.
pub(super) fn each<A, B: TryFrom<A, Error = Error>>(list: Vec<A>, name: &str) -> Result<Vec<B>> {
    let numbered = list.into_iter().enumerate();
    numbered.map(|(i, item)| B::try_from(item).at(|| format!("{name}[{i}]"))).collect()
}

/// Converts a list that cannot be wrong.
pub(super) fn all<A, B: From<A>>(list: Vec<A>) -> Vec<B> {
    list.into_iter().map(B::from).collect()
}

/// JSON text of something whose keys are texts, which cannot fail.
pub(super) fn write_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Reads JSON text; the error never quotes it.
pub(super) fn read_json<T: DeserializeOwned>(text: &str, field: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| wrong(field, error.to_string()))
}

/// JSON text that is empty where there is nothing.
pub(super) fn write_extras(extras: &Extras) -> String {
    if extras.is_empty() { String::new() } else { write_json(extras) }
}

pub(super) fn read_extras(text: &str) -> Result<Extras> {
    if text.is_empty() { Ok(Extras::new()) } else { read_json(text, "extras_json") }
}

/// JSON text that is empty for `null`.
pub(super) fn write_value(value: &Value) -> String {
    if value.is_null() { String::new() } else { write_json(value) }
}

pub(super) fn read_value(text: &str, field: &str) -> Result<Value> {
    if text.is_empty() { Ok(Value::Null) } else { read_json(text, field) }
}

/// A number that JSON could carry too.
pub(super) fn finite(value: Option<f64>, field: &str) -> Result<Option<f64>> {
    match value {
        Some(number) if !number.is_finite() => Err(wrong(field, "is no finite number")),
        value => Ok(value),
    }
}
