//! Limits for schemas and grammars that clients send, and the schema of a forced tool call.
//!
//! llama.cpp reads both with recursive C++ code: one that is nested deeply enough overflows the
//! stack and ends the process. Nothing here goes there unchecked.

mod reach;

use crate::{Grammars, ask::Cannot, backend::GrammarSource};
use serde_json::{Map, Value, json};
use tollgate_types::{Error, FunctionTool, OutputFormat};

const DEEPEST: usize = 32;
/// Bytes of a schema as JSON.
const LARGEST_SCHEMA: usize = 64 * 1024;
/// Bytes of a name, pattern or constant in a schema: they go through a recursive regex engine.
const LONGEST_WORD: usize = 2048;
const LARGEST_GRAMMAR: usize = 16 * 1024;
/// The most repetitions: llama.cpp writes each of them out.
const MOST_TIMES: u64 = 1000;
/// The largest bound of a number: near the ends of 64 bits llama.cpp's arithmetic overflows.
const FARTHEST: f64 = 1e15;
/// Ways to read one place: nested, they multiply.
const MOST_CHOICES: usize = 16;

/// The grammar of an output format, and the field that asked for it.
pub(crate) fn of_output(
    output: &OutputFormat,
    grammars: Grammars,
    cannot: &mut Cannot,
) -> Result<(Option<GrammarSource>, String), Error> {
    match output {
        OutputFormat::Text => Ok((None, String::new())),
        OutputFormat::Json => {
            Ok((Some(GrammarSource::Schema(json!({"type": "object"}))), "output".into()))
        }
        OutputFormat::JsonSchema { schema, .. } => {
            let schema = checked_schema(schema, "output.schema", cannot)?;
            Ok((Some(GrammarSource::Schema(schema)), "output.schema".into()))
        }
        OutputFormat::Grammar { .. } if grammars == Grammars::Refused => {
            cannot.honour("output", "grammars written by clients")?;
            Ok((None, String::new()))
        }
        OutputFormat::Grammar { syntax, grammar } if syntax == "gbnf" => {
            check_gbnf(grammar)?;
            Ok((Some(GrammarSource::Gbnf(grammar.clone())), "output.grammar".into()))
        }
        OutputFormat::Grammar { .. } => {
            cannot.honour("output.syntax", "grammars other than gbnf")?;
            Ok((None, String::new()))
        }
    }
}

/// Whether a schema is small enough to be read.
fn check_schema(schema: &Value, param: &str) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::invalid(param, format!("the JSON schema {why}")));
    check_depth(schema, param)?;
    if schema.to_string().len() > LARGEST_SCHEMA {
        return refuse(format!("has more than {LARGEST_SCHEMA} bytes"));
    }
    match first_excess(schema) {
        Some(why) => refuse(why),
        None => Ok(()),
    }
}

/// Whether a schema is flat enough to be walked through.
pub(crate) fn check_depth(schema: &Value, param: &str) -> Result<(), Error> {
    let message = || format!("the JSON schema is nested more than {DEEPEST} deep");
    if is_flat(schema, DEEPEST) { Ok(()) } else { Err(Error::invalid(param, message())) }
}

/// Stops at the limit, so that its own recursion is bounded too.
fn is_flat(value: &Value, levels: usize) -> bool {
    let below = |value: &Value| levels > 0 && is_flat(value, levels - 1);
    match value {
        Value::Array(items) => items.iter().all(below),
        Value::Object(map) => map.values().all(below),
        _ => true,
    }
}

fn first_excess(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.len() > LONGEST_WORD => {
            Some(format!("has a text of more than {LONGEST_WORD} bytes"))
        }
        Value::Array(items) => items.iter().find_map(first_excess),
        Value::Object(map) => upside_down(map)
            .or_else(|| map.iter().find_map(|(name, value)| excess_of_field(name, value))),
        _ => None,
    }
}

/// The words of a schema may be names of properties too; those have objects as values.
fn excess_of_field(name: &str, value: &Value) -> Option<String> {
    let choices = value.as_array().map_or(0, Vec::len);
    match name {
        "description" | "title" | "$comment" | "examples" | "default" => None,
        "anyOf" | "oneOf" | "allOf" | "type" if choices > MOST_CHOICES => {
            Some(format!("has a {name} of more than {MOST_CHOICES} choices"))
        }
        "minLength" | "maxLength" | "minItems" | "maxItems"
            if value.is_number() && value.as_u64().is_none_or(|times| times > MOST_TIMES) =>
        {
            Some(format!("has a {name} that is not between 0 and {MOST_TIMES}"))
        }
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum"
            if value.as_f64().is_some_and(|bound| bound.abs() > FARTHEST) =>
        {
            Some(format!("has a {name} beyond {FARTHEST:e}"))
        }
        _ if name.len() > LONGEST_WORD => {
            Some(format!("has a name of more than {LONGEST_WORD} bytes"))
        }
        _ => first_excess(value),
    }
}

/// A minimum above its maximum makes llama.cpp count down from zero, without end.
fn upside_down(map: &Map<String, Value>) -> Option<String> {
    let number = |name: &str| map.get(name).and_then(Value::as_f64);
    let pairs = [
        ("minLength", "maxLength"),
        ("minItems", "maxItems"),
        ("minimum", "maximum"),
        ("exclusiveMinimum", "exclusiveMaximum"),
        ("minimum", "exclusiveMaximum"),
        ("exclusiveMinimum", "maximum"),
    ];
    let found = pairs
        .into_iter()
        .find(|(low, high)| number(low).zip(number(high)).is_some_and(|(low, high)| low > high));
    found.map(|(low, high)| format!("has a {low} above its {high}"))
}

/// Takes the patterns out of a schema; `true` when there were any.
///
/// A pattern like `(a|a|a)*` makes llama.cpp try every way to read a token: one token can then
/// take longer than a day, and nothing can interrupt it.
fn take_patterns(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().fold(false, |any, item| take_patterns(item) | any),
        Value::Object(map) => {
            let own = map.get("pattern").is_some_and(Value::is_string);
            if own {
                map.shift_remove("pattern");
            }
            map.values_mut().fold(own, |any, value| take_patterns(value) | any)
        }
        _ => false,
    }
}

/// A schema that llama.cpp may read.
pub(crate) fn checked_schema(
    schema: &Value,
    param: &str,
    cannot: &mut Cannot,
) -> Result<Value, Error> {
    check_schema(schema, param)?;
    let mut schema = schema.clone();
    if take_patterns(&mut schema) {
        cannot.honour(param, "patterns in a JSON schema")?;
    }
    reach::check(&schema, param)?;
    Ok(schema)
}

fn check_gbnf(grammar: &str) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::invalid("output.grammar", format!("the grammar {why}")));
    if grammar.len() > LARGEST_GRAMMAR {
        return refuse(format!("has more than {LARGEST_GRAMMAR} bytes"));
    }
    if grammar.contains('\0') {
        return refuse("contains a zero byte".into());
    }
    // Brackets in quoted text count too: a limit that is too strict there harms nobody.
    let mut depth = 0_usize;
    for letter in grammar.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return refuse(format!("is nested more than {DEEPEST} deep"));
        }
    }
    let numbers = grammar.split('{').skip(1).flat_map(|rest| {
        let inside = rest.split('}').next().unwrap_or_default();
        inside.split(',').filter_map(|number| number.trim().parse::<u64>().ok())
    });
    if numbers.max().is_some_and(|most| most > MOST_TIMES) {
        return refuse(format!("repeats something more than {MOST_TIMES} times"));
    }
    Ok(())
}

/// The schema of one call of any of the tools. Every tool's schema gets a place of its own under
/// `$defs`, and its references are turned to that place.
pub(crate) fn call_schema(tools: &[&FunctionTool]) -> Value {
    let mut definitions = Map::new();
    let mut calls = Vec::new();
    for (at, tool) in tools.iter().enumerate() {
        let place = format!("#/$defs/tool{at}");
        let mut schema = tool.parameters.clone();
        if schema.is_null() || schema == json!({}) {
            schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
        }
        turn_references(&mut schema, &place);
        definitions.insert(format!("tool{at}"), schema);
        calls.push(json!({
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": {"$ref": place}},
            "required": ["name", "arguments"],
            "additionalProperties": false,
        }));
    }
    json!({"oneOf": calls, "$defs": definitions})
}

fn turn_references(value: &mut Value, place: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| turn_references(item, place)),
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(target) if name == "$ref" => {
                        if let Some(path) = target.strip_prefix('#') {
                            *target = format!("{place}{path}");
                        }
                    }
                    value => turn_references(value, place),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!({}), |inner, _| json!({"items": inner}))
    }

    #[test]
    fn a_schema_that_is_too_deep_or_too_large_is_refused_by_name() {
        let refused = |schema: &Value| {
            check_schema(schema, "tools[0].parameters").err().map(|e| e.body().param.clone())
        };
        assert_eq!(refused(&nested(DEEPEST)), None);
        let named = Some(Some("tools[0].parameters".to_owned()));
        for schema in [
            nested(DEEPEST + 1),
            json!({"enum": ["x".repeat(LONGEST_WORD + 1)]}),
            json!({"properties": {"x".repeat(LONGEST_WORD + 1): {}}}),
            json!({"maxLength": 100_000}),
            json!({"maxLength": -1}),
            json!({"type": "integer", "exclusiveMaximum": i64::MIN}),
            json!({"minLength": 3, "maxLength": 2}),
            json!({"properties": {"a": {"minimum": 3, "exclusiveMaximum": 2.5}}}),
            json!({"anyOf": vec![json!({}); MOST_CHOICES + 1]}),
            json!({"description": "x".repeat(LARGEST_SCHEMA)}),
        ] {
            assert_eq!(refused(&schema), named);
        }
        assert_eq!(refused(&json!({"description": "x".repeat(LONGEST_WORD + 1)})), None);
    }

    #[test]
    fn patterns_are_taken_out_but_properties_of_that_name_stay() {
        let mut schema = json!({"properties": {"pattern": {"type": "string", "pattern": "a*"}}});
        assert!(take_patterns(&mut schema));
        assert_eq!(schema, json!({"properties": {"pattern": {"type": "string"}}}));
        assert!(!take_patterns(&mut schema));
    }

    #[test]
    fn a_grammar_has_limits() {
        assert!(check_gbnf("root ::= (\"a\" | \"b\"){2,5}").is_ok());
        for grammar in [
            format!("root ::= {}", "(".repeat(33)),
            "x".repeat(LARGEST_GRAMMAR + 1),
            "root ::= \"a\"{1,1001}".into(),
            "root ::= \"\0\"".into(),
        ] {
            assert!(check_gbnf(&grammar).is_err());
        }
    }

    #[test]
    fn references_of_a_tool_find_their_place_in_the_schema_of_the_call() {
        let tool = FunctionTool {
            name: "t".into(),
            parameters: json!({"$ref": "#/$defs/node", "$defs": {"node": {"items": {"$ref": "#"}}}}),
            ..FunctionTool::default()
        };
        let schema = call_schema(&[&tool]);
        assert_eq!(schema["$defs"]["tool0"]["$ref"], "#/$defs/tool0/$defs/node");
        assert_eq!(schema["$defs"]["tool0"]["$defs"]["node"]["items"]["$ref"], "#/$defs/tool0");
    }
}
