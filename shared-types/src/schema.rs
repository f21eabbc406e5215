//! A JSON schema as the shape of an answer.

use crate::OutputFormat;
use serde_json::{Map, Value};

impl OutputFormat {
    /// An answer that satisfies a schema: named by the schema's title, and enforced by the provider
    /// where the schema is closed, that is where every object says that it has its fields, all of
    /// them, and no others. The strictest vendors refuse to enforce any other.
    pub fn of_schema(schema: Value) -> Self {
        let title = schema.get("title").and_then(Value::as_str).unwrap_or_default();
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let name: String = title.chars().filter(plain).take(64).collect();
        let name = if name.is_empty() { "answer".to_owned() } else { name };
        let strict = is_closed(&schema);
        Self::JsonSchema { name, schema, strict }
    }
}

fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            (!describes_object(fields) || has_all_and_no_others(fields))
                && fields.values().all(is_closed)
        }
        Value::Array(items) => items.iter().all(is_closed),
        _ => true,
    }
}

fn describes_object(fields: &Map<String, Value>) -> bool {
    let is = |kind: &Value| kind == "object";
    fields.get("properties").is_some_and(Value::is_object)
        || fields.get("type").is_some_and(|kind| {
            is(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(is))
        })
}

fn has_all_and_no_others(fields: &Map<String, Value>) -> bool {
    let required = fields.get("required").and_then(Value::as_array);
    let is_required =
        |name: &String| required.is_some_and(|names| names.iter().any(|one| one == name.as_str()));
    let properties = fields.get("properties").and_then(Value::as_object);
    fields.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.is_none_or(|properties| properties.keys().all(is_required))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn strict(schema: Value) -> bool {
        match OutputFormat::of_schema(schema) {
            OutputFormat::JsonSchema { strict, .. } => strict,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_schema_is_enforced_only_when_all_its_objects_are_closed() {
        let closed = json!({"type": "object", "properties": {"a": {"type": "string"}},
            "required": ["a"], "additionalProperties": false});
        assert!(strict(closed.clone()));
        assert!(strict(json!({"type": "array", "items": closed})));
        for (field, value) in [("required", json!([])), ("additionalProperties", json!(true))] {
            let mut open = closed.clone();
            open[field] = value;
            assert!(!strict(open.clone()), "{open}");
            assert!(!strict(json!({"anyOf": [{"type": "string"}, open]})));
        }
        assert!(!strict(json!({"type": ["object", "null"]})));
    }

    #[test]
    fn the_name_is_the_title_as_far_as_vendors_take_it() {
        for (title, expected) in
            [("City", "City"), ("a city/of mine", "acityofmine"), ("über", "ber"), ("", "answer")]
        {
            match OutputFormat::of_schema(json!({"title": title})) {
                OutputFormat::JsonSchema { name, .. } => assert_eq!(name, expected),
                other => panic!("{other:?}"),
            }
        }
    }
}
