//! Lays one JSON object over another: how extras find their way back into a body.

use serde_json::{Map, Value, map::Entry};

/// Lays `over` over `base`; objects on both sides are merged, anything else is replaced.
pub(crate) fn merge(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match base.entry(key.as_str()) {
            Entry::Vacant(entry) => {
                entry.insert(value.clone());
            }
            Entry::Occupied(mut entry) => match (entry.get_mut(), value) {
                (Value::Object(below), Value::Object(above)) => merge(below, above),
                (below, above) => *below = above.clone(),
            },
        }
    }
}

/// An object made of the fields that are there.
pub(crate) fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields
        .into_iter()
        .filter_map(|(key, value)| value.map(|value| (key.to_owned(), value)))
        .collect()
}
