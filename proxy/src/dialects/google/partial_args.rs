//! Arguments that Vertex AI streams in pieces: `{"jsonPath": "$.steps[0].text", "stringValue": "..."}`.

use serde_json::{Map, Value};

/// The longest list that a path may open, and the deepest place it may name: a path is short, what
/// it makes must not be large.
const MAX_INDEX: usize = 4096;
const MAX_DEPTH: usize = 64;

#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Puts a piece into the arguments. Texts that come in several pieces grow. `None` when the path
/// cannot be followed.
pub(super) fn apply(arguments: &mut Value, piece: &Value) -> Option<()> {
    let steps = steps(piece.get("jsonPath")?.as_str()?)?;
    let place = place(arguments, steps)?;
    if let Some(text) = piece.get("stringValue").and_then(Value::as_str) {
        match place {
            Value::String(before) => before.push_str(text),
            other => *other = text.into(),
        }
    } else if let Some(value) = piece.get("numberValue").or_else(|| piece.get("boolValue")) {
        *place = value.clone();
    } else if piece.get("nullValue").is_some() {
        *place = Value::Null;
    }
    Some(())
}

fn place(arguments: &mut Value, steps: Vec<Step>) -> Option<&mut Value> {
    let mut at = arguments;
    for step in steps {
        at = match step {
            Step::Key(key) => {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                at.as_object_mut()?.entry(key).or_insert(Value::Null)
            }
            Step::Index(index) => {
                if !at.is_array() {
                    *at = Value::Array(Vec::new());
                }
                let list = at.as_array_mut()?;
                if list.len() <= index {
                    list.resize(index + 1, Value::Null);
                }
                list.get_mut(index)?
            }
        };
    }
    Some(at)
}

/// Reads `$.a[0]['b c']`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, tail) = if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            let (name, tail) = named.split_at(end);
            (Step::Key(name.to_owned()), tail)
        } else {
            let inside = rest.strip_prefix('[')?;
            bracketed(inside)?
        };
        steps.push(step);
        if steps.len() > MAX_DEPTH {
            return None;
        }
        rest = tail;
    }
    (!steps.is_empty()).then_some(steps)
}

fn bracketed(inside: &str) -> Option<(Step, &str)> {
    for quote in ['\'', '"'] {
        if let Some(named) = inside.strip_prefix(quote) {
            let (name, tail) = named.split_once(quote)?;
            return Some((Step::Key(name.to_owned()), tail.strip_prefix(']')?));
        }
    }
    let (number, tail) = inside.split_once(']')?;
    let index = number.parse().ok().filter(|index| *index <= MAX_INDEX)?;
    Some((Step::Index(index), tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pieces_become_the_arguments() {
        let mut arguments = json!({});
        for piece in [
            json!({"jsonPath": "$.meal.name", "stringValue": "Lasa", "willContinue": true}),
            json!({"jsonPath": "$.meal.name", "stringValue": "gne"}),
            json!({"jsonPath": "$.meal.steps[1].n", "numberValue": 2.5}),
            json!({"jsonPath": "$.meal.steps[0]", "boolValue": true}),
            json!({"jsonPath": "$['odd key']", "nullValue": "NULL_VALUE"}),
        ] {
            apply(&mut arguments, &piece).unwrap();
        }
        let whole =
            json!({"meal": {"name": "Lasagne", "steps": [true, {"n": 2.5}]}, "odd key": null});
        assert_eq!(arguments, whole);
    }

    #[test]
    fn hostile_paths_are_not_followed() {
        for path in
            ["$[99999999]", "a", "$", "$[", "$['a", "$[x]", &format!("${}", ".a".repeat(65))]
        {
            let piece = json!({"jsonPath": path, "stringValue": "x"});
            assert_eq!(apply(&mut json!({}), &piece), None, "{path}");
        }
    }
}
