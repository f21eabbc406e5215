//! Arguments that fit a tool's schema, so that programs which really run their tools can.

use serde_json::{Map, Value, json};

/// The most schemas within one another: one that names itself has no end.
const DEEPEST: usize = 16;

/// The plainest value that fits a schema.
pub(super) fn sample(schema: &Value) -> Value {
    fitting(schema, schema, DEEPEST)
}

fn fitting(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
    if let Some(target) = target.and_then(|pointer| root.pointer(pointer)) {
        return fitting(target, root, depth);
    }
    let first = |key: &str| schema.get(key)?.as_array()?.first();
    if let Some(given) = schema.get("const").or_else(|| first("enum")) {
        return given.clone();
    }
    let branch = ["anyOf", "any_of", "oneOf", "allOf"].iter().find_map(|key| first(key));
    if let Some(branch) = branch {
        return fitting(branch, root, depth);
    }
    match kind(schema).as_deref() {
        Some("object") => object(schema, root, depth),
        Some("array") => json!([fitting(schema.get("items").unwrap_or(&Value::Null), root, depth)]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| 1.into()),
        Some("boolean") => true.into(),
        Some("string") => "w0".into(),
        _ => Value::Null,
    }
}

/// An object with all fields that the schema names.
fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let fields = fields.map(|(name, field)| (name.clone(), fitting(field, root, depth)));
    fields.collect::<Map<_, _>>().into()
}

/// The type, which Google writes in capitals; the first of several.
fn kind(schema: &Value) -> Option<String> {
    let kind = schema.get("type")?;
    let kind = kind.as_array().and_then(|kinds| kinds.first()).unwrap_or(kind);
    Some(kind.as_str()?.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_schema_is_filled() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Oslo", "Rome"]},
                "days": {"type": "INTEGER", "minimum": 3},
                "tags": {"type": ["array", "null"], "items": {"type": "string"}},
                "near": {"anyOf": [{"$ref": "#/$defs/place"}, {"type": "null"}]},
                "sure": {"type": "boolean"},
                "unit": {"const": "C"},
            },
            "$defs": {"place": {"type": "object", "properties": {"lat": {"type": "number"}}}},
        });
        let filled = json!({
            "city": "Oslo", "days": 3, "tags": ["w0"], "near": {"lat": 1}, "sure": true, "unit": "C",
        });
        assert_eq!(sample(&schema), filled);
    }

    #[test]
    fn a_schema_that_names_itself_ends() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        let mut value = &sample(&schema);
        let mut depth = 0;
        while let Some(next) = value.get("next") {
            (value, depth) = (next, depth + 1);
        }
        assert!(value.is_null() && (1..DEEPEST).contains(&depth), "{depth}");
    }
}
