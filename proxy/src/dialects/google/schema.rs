//! Google's own schemas (`parameters`, `responseSchema`: a subset of OpenAPI 3.0) as JSON schema,
//! which is what every other provider reads.

use serde_json::{Map, Value, json};

use super::names::camel;

/// The JSON schema that says the same. The order of properties and single examples, which JSON
/// schema does not have, are left out; the caller keeps the original.
pub(super) fn to_json_schema(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut written = Map::with_capacity(fields.len());
    let mut nullable = false;
    for (key, value) in fields {
        let key = camel(key);
        let value = match key.as_ref() {
            "nullable" => {
                nullable = value == &Value::Bool(true);
                continue;
            }
            "propertyOrdering" | "example" => continue,
            "type" if value == "TYPE_UNSPECIFIED" => continue,
            "type" => lower(value),
            "properties" | "$defs" | "defs" => each_value(value),
            "items" | "additionalProperties" | "not" => to_json_schema(value),
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => each_item(value),
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
            | "maxProperties" => number(value),
            _ => value.clone(),
        };
        written.insert(key.into_owned(), value);
    }
    if nullable {
        allow_null(&mut written);
    }
    Value::Object(written)
}

fn lower(kind: &Value) -> Value {
    match kind {
        Value::String(word) => word.to_ascii_lowercase().into(),
        Value::Array(words) => words.iter().map(lower).collect(),
        other => other.clone(),
    }
}

fn each_value(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().map(|(name, schema)| (name.clone(), to_json_schema(schema))).collect()
        }
        other => other.clone(),
    }
}

fn each_item(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(to_json_schema).collect(),
        other => other.clone(),
    }
}

/// 64-bit numbers are texts in Google's JSON.
fn number(value: &Value) -> Value {
    let parsed = value.as_str().and_then(|text| text.parse::<u64>().ok());
    parsed.map_or_else(|| value.clone(), Value::from)
}

fn allow_null(schema: &mut Map<String, Value>) {
    match schema.get_mut("type") {
        Some(kind @ Value::String(_)) => *kind = json!([kind.take(), "null"]),
        Some(Value::Array(kinds)) if !kinds.iter().any(|kind| kind == "null") => {
            kinds.push("null".into());
        }
        _ => {
            if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
                choices.push(json!({"type": "null"}));
            }
        }
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_schema_becomes_json_schema() {
        let google = json!({"type": "OBJECT", "property_ordering": ["a"], "required": ["a"],
            "properties": {
                "type": {"type": "STRING", "nullable": true, "enum": ["x"]},
                "a": {"type": "ARRAY", "min_items": "2", "items": {"type": "INTEGER", "format": "int32"}},
                "b": {"anyOf": [{"type": "STRING"}, {"type": "NUMBER"}], "nullable": true}}});
        let expected = json!({"type": "object", "required": ["a"], "properties": {
            "type": {"type": ["string", "null"], "enum": ["x", null]},
            "a": {"type": "array", "minItems": 2, "items": {"type": "integer", "format": "int32"}},
            "b": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]}}});
        assert_eq!(to_json_schema(&google), expected);
        assert_eq!(to_json_schema(&expected), expected);
    }
}
