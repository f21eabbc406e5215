//! What a schema becomes once its references are followed, as llama.cpp does with plain recursion:
//! a cycle, or a long chain of references, overflows its stack and ends the process, and choices
//! that are nested through references multiply until a token takes hours.

use serde_json::{Map, Value};
use tollgate_types::Error;

/// Levels, references among them.
const DEEPEST: usize = 64;
/// Parts, each counted as often as it is reached.
const MOST_PARTS: usize = 4000;
/// Properties of one object: llama.cpp lists what may follow each of them anew.
const MOST_PROPERTIES: usize = 128;

/// Whether llama.cpp can follow a schema to its end.
///
/// # Errors
/// `unsupported` for a schema that refers to itself, `invalid_request` for one that is too large.
pub(super) fn check(schema: &Value, param: &str) -> Result<(), Error> {
    let mut walk = Walk { root: schema, parts: 0, following: Vec::new() };
    walk.value(schema, 0).map_err(|excess| match excess {
        Excess::Recursive(target) => {
            let what = format!("JSON schemas that refer to themselves ({target})");
            Error::unsupported(&what).with(|body| body.param = Some(param.to_owned()))
        }
        Excess::Other(why) => Error::invalid(param, format!("the JSON schema {why}")),
    })
}

enum Excess {
    Recursive(String),
    Other(String),
}

struct Walk<'s> {
    root: &'s Value,
    parts: usize,
    /// The references that lead to where the walk is.
    following: Vec<&'s str>,
}

impl<'s> Walk<'s> {
    fn value(&mut self, value: &'s Value, depth: usize) -> Result<(), Excess> {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            let why = format!("has more than {MOST_PARTS} parts once its references are followed");
            return Err(Excess::Other(why));
        }
        if depth > DEEPEST {
            let why = format!("is more than {DEEPEST} deep once its references are followed");
            return Err(Excess::Other(why));
        }
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item, depth + 1)),
            Value::Object(map) => self.schema(map, depth),
            _ => Ok(()),
        }
    }

    /// Definitions count where they are referred to.
    fn schema(&mut self, map: &'s Map<String, Value>, depth: usize) -> Result<(), Excess> {
        for (name, value) in map {
            match (name.as_str(), value) {
                ("$defs" | "definitions", Value::Object(_)) => {}
                ("$ref", Value::String(target)) => self.follow(target, depth)?,
                (
                    "properties" | "patternProperties" | "dependentSchemas",
                    Value::Object(properties),
                ) => {
                    if properties.len() > MOST_PROPERTIES {
                        let why =
                            format!("has an object of more than {MOST_PROPERTIES} properties");
                        return Err(Excess::Other(why));
                    }
                    properties.values().try_for_each(|value| self.value(value, depth + 1))?;
                }
                (_, value) => self.value(value, depth + 1)?,
            }
        }
        Ok(())
    }

    fn follow(&mut self, target: &'s str, depth: usize) -> Result<(), Excess> {
        let missing = || Excess::Other(format!("refers to {target:?}, which it does not contain"));
        if target == "#" || self.following.contains(&target) {
            return Err(Excess::Recursive(target.to_owned()));
        }
        // Escapes are read differently by different readers: what is checked must be what is used.
        let path = target.strip_prefix('#').filter(|path| !path.contains(['~', '%']));
        let found = path.and_then(|path| self.root.pointer(path)).ok_or_else(missing)?;
        self.following.push(target);
        self.value(found, depth + 1)?;
        self.following.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tollgate_types::ErrorKind;

    fn kind(schema: &Value) -> Option<ErrorKind> {
        check(schema, "output.schema").err().map(|error| error.kind())
    }

    #[test]
    fn references_that_end_are_followed() {
        let schema = json!({
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "null"}]}, "b": {"type": "string"}},
        });
        assert_eq!(kind(&schema), None);
    }

    #[test]
    fn every_way_round_in_a_circle_is_refused() {
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"items": {"$ref": "#/$defs/a"}}}}),
            json!({"properties": {"next": {"properties": {"next": {"$ref": "#/properties/next"}}}}}),
            json!({"properties": {"$defs": {"$ref": "#/properties/$defs"}}}),
        ] {
            assert_eq!(kind(&schema), Some(ErrorKind::Unsupported), "{schema}");
        }
    }

    #[test]
    fn long_chains_and_choices_that_multiply_are_refused() {
        let mut chain = Map::new();
        let mut doubling = Map::new();
        for at in 0..200 {
            let next = json!({"$ref": format!("#/$defs/d{}", at + 1)});
            chain.insert(format!("d{at}"), next.clone());
            doubling.insert(format!("d{at}"), json!({"anyOf": [next.clone(), next]}));
        }
        doubling.retain(|name, _| name.len() < 4);
        for defs in [&mut chain, &mut doubling] {
            let last = format!("d{}", defs.len());
            defs.insert(last, json!({"type": "string"}));
            let schema = json!({"$ref": "#/$defs/d0", "$defs": defs});
            assert_eq!(kind(&schema), Some(ErrorKind::InvalidRequest));
        }
        let wide: Map<_, _> = (0..7000).map(|n| (format!("p{n}"), json!({}))).collect();
        assert_eq!(kind(&json!({"properties": wide})), Some(ErrorKind::InvalidRequest));
    }

    #[test]
    fn references_that_cannot_be_checked_are_refused() {
        for target in ["http://example.com/s", "#/$defs/none", "#/$defs/a~0", "#/%24defs/a", "a"] {
            let schema = json!({"$ref": target, "$defs": {"a": {}, "a~0": {}}});
            assert_eq!(kind(&schema), Some(ErrorKind::InvalidRequest), "{target}");
        }
    }
}
