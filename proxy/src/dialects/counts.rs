//! Token counts as providers state them: overlapping, misspelt, sometimes impossible.

use serde_json::{Map, Value};

/// What is left of a count after its parts are taken out; a part is never larger than the rest.
pub(crate) struct Share(u64);

impl Share {
    /// The whole count.
    pub(crate) fn of(whole: u64) -> Self {
        Self(whole)
    }

    /// What no part took.
    pub(crate) fn rest(&self) -> u64 {
        self.0
    }

    /// Takes a part out.
    pub(crate) fn part(&mut self, stated: u64) -> u64 {
        let part = stated.min(self.0);
        self.0 -= part;
        part
    }
}

/// The fields of a usage object; what nobody takes is kept.
pub(crate) struct Counts(Map<String, Value>);

impl Counts {
    /// The fields of an object.
    pub(crate) fn of(raw: &Value) -> Option<Self> {
        raw.as_object().cloned().map(Self)
    }

    /// Takes the first of several spellings that is there. A number that cannot be a count is
    /// left where it is, so that it is not lost.
    pub(crate) fn take(&mut self, spellings: &[&[&str]]) -> Option<u64> {
        let mut found = None;
        for path in spellings {
            let Some((last, parents)) = path.split_last() else { continue };
            let mut object = Some(&mut self.0);
            for parent in parents {
                object = object.and_then(|map| map.get_mut(*parent)?.as_object_mut());
            }
            let Some(object) = object else { continue };
            match object.get(*last).map(count) {
                Some(Some(n)) => {
                    object.shift_remove(*last);
                    found = found.or(Some(n));
                }
                Some(None) if object.get(*last).is_some_and(Value::is_null) => {
                    object.shift_remove(*last);
                }
                _ => {}
            }
        }
        found
    }

    /// What nobody took.
    pub(crate) fn rest(mut self) -> Map<String, Value> {
        self.0.retain(|_, value| match value {
            Value::Null => false,
            Value::Object(details) => !details.is_empty(),
            _ => true,
        });
        self.0
    }
}

/// A token count; some hosts write `12.0`.
pub(crate) fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let text = value.as_f64()?.to_string();
        text.parse().ok()
    })
}
