//! Reads the fields of a JSON object and remembers where it is, so that an error names the place.
//! What nobody took is the rest: it is passed on, never lost.

use serde_json::{Map, Value};
use tollgate_types::{Error, Extras, Result};

/// An object of the request and the path that led to it.
pub(crate) struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    /// Reads a request body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self> {
        let value = serde_json::from_slice(body)
            .map_err(|cause| Error::invalid("body", format!("the body is not JSON: {cause}")))?;
        match value {
            Value::Object(map) => Ok(Self { path: String::new(), map }),
            other => Err(wrong_type("body", "an object", &other)),
        }
    }

    /// Reads an object found at a path.
    pub(crate) fn of(path: String, value: Value) -> Result<Self> {
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            other => Err(wrong_type(&path, "an object", &other)),
        }
    }

    /// The path of a field.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether a field is there and not `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// Looks at a field that is there and not `null`.
    pub(crate) fn peek(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// Takes a field; `null` counts as absent, as it does at every vendor.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    /// Puts a field back that turned out to have no common meaning.
    pub(crate) fn put_back(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
    }

    pub(crate) fn string(&mut self, key: &str) -> Result<Option<String>> {
        self.read(key, "a string", |value| match value {
            Value::String(text) => Ok(text),
            other => Err(other),
        })
    }

    pub(crate) fn required_string(&mut self, key: &str) -> Result<String> {
        self.string(key)?.ok_or_else(|| self.missing(key))
    }

    pub(crate) fn bool(&mut self, key: &str) -> Result<Option<bool>> {
        self.read(key, "true or false", |value| value.as_bool().ok_or(value))
    }

    pub(crate) fn u32(&mut self, key: &str) -> Result<Option<u32>> {
        self.read(key, "a whole number from 0", |value| {
            value.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or(value)
        })
    }

    pub(crate) fn i64(&mut self, key: &str) -> Result<Option<i64>> {
        self.read(key, "a whole number", |value| value.as_i64().ok_or(value))
    }

    pub(crate) fn f64(&mut self, key: &str) -> Result<Option<f64>> {
        self.read(key, "a number", |value| value.as_f64().ok_or(value))
    }

    pub(crate) fn object(&mut self, key: &str) -> Result<Option<Self>> {
        let path = self.path_of(key);
        self.take(key).map(|value| Self::of(path, value)).transpose()
    }

    pub(crate) fn required_object(&mut self, key: &str) -> Result<Self> {
        self.object(key)?.ok_or_else(|| self.missing(key))
    }

    /// The elements of a list, each with its path.
    pub(crate) fn list(&mut self, key: &str) -> Result<Option<Vec<(String, Value)>>> {
        let path = self.path_of(key);
        let items = self.read(key, "a list", |value| match value {
            Value::Array(items) => Ok(items),
            other => Err(other),
        })?;
        Ok(items.map(|items| numbered(&path, items)))
    }

    /// The error for a field that has to be there.
    pub(crate) fn missing(&self, key: &str) -> Error {
        let path = self.path_of(key);
        let message = format!("{path} is required");
        Error::invalid(path, message)
    }

    /// What nobody took.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.map
    }

    /// What nobody took, as extras of a dialect.
    pub(crate) fn into_extras(self, namespace: &str) -> Extras {
        extras_of(namespace, self.map)
    }

    fn read<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(Value) -> std::result::Result<T, Value>,
    ) -> Result<Option<T>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        read(value).map(Some).map_err(|other| wrong_type(&self.path_of(key), expected, &other))
    }
}

/// Extras of a dialect; none when there is nothing to keep.
pub(crate) fn extras_of(namespace: &str, map: Map<String, Value>) -> Extras {
    if map.is_empty() { Extras::new() } else { Extras::from([(namespace.to_owned(), map)]) }
}

/// The elements of a list, each with its path.
pub(crate) fn numbered(path: &str, items: Vec<Value>) -> Vec<(String, Value)> {
    items.into_iter().enumerate().map(|(n, item)| (format!("{path}[{n}]"), item)).collect()
}

/// The error for a value of the wrong type.
pub(crate) fn wrong_type(path: &str, expected: &str, found: &Value) -> Error {
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    Error::invalid(path, format!("{path} must be {expected}, not {found}"))
}
