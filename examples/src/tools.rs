//! The tools that the agent offers.

mod calculator;
mod number;
mod units;

use crate::agent::ToolRun;
use serde_json::{Value, json};
use tollgate_types::{Tool, ToolCall};

/// A calculator and a unit converter.
pub struct Toolbox;

impl Toolbox {
    /// The tools as the model is told about them.
    pub fn tools(&self) -> Vec<Tool> {
        let expression = json!({
            "type": "object",
            "properties": {
                "expression": {"type": "string", "description": "for example 12.5 * (3 + 4)"}
            },
            "required": ["expression"],
            "additionalProperties": false,
        });
        let unit = json!({"type": "string", "enum": units::names()});
        let conversion = json!({
            "type": "object",
            "properties": {"value": {"type": "number"}, "from": unit, "to": unit},
            "required": ["value", "from", "to"],
            "additionalProperties": false,
        });
        vec![
            Tool::function("calculator", "Computes with numbers, + - * / % ^ and ( ).", expression),
            Tool::function("convert_units", "Converts a value to another unit.", conversion),
        ]
    }

    /// Runs one call.
    pub fn run(&self, call: &ToolCall) -> ToolRun {
        ToolRun {
            name: call.name.clone(),
            arguments: call.arguments.clone(),
            result: dispatch(call),
        }
    }
}

fn dispatch(call: &ToolCall) -> Result<String, String> {
    let arguments = call.parse().map_err(|error| format!("the arguments are not JSON: {error}"))?;
    let value = match call.name.as_str() {
        "calculator" => calculator::evaluate(text(&arguments, "expression")?),
        "convert_units" => {
            let value = arguments.get("value").and_then(Value::as_f64);
            let value = value.ok_or("the argument value must be a number")?;
            units::convert(value, text(&arguments, "from")?, text(&arguments, "to")?)
        }
        other => return Err(format!("there is no tool {other:?}")),
    };
    value.map(number::show)
}

fn text<'a>(arguments: &'a Value, name: &str) -> Result<&'a str, String> {
    let value = arguments.get(name).and_then(Value::as_str);
    value.ok_or_else(|| format!("the argument {name} must be text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, arguments: &str) -> Result<String, String> {
        let call =
            ToolCall { name: name.into(), arguments: arguments.into(), ..ToolCall::default() };
        Toolbox.run(&call).result
    }

    #[test]
    fn good_calls_are_answered_in_plain_numbers() {
        for (name, arguments, answer) in [
            ("calculator", r#"{"expression": "12.5 * (3 + 4)"}"#, "87.5"),
            ("calculator", r#"{"expression": "0.1 + 0.2"}"#, "0.3"),
            ("convert_units", r#"{"value": 42, "from": "km", "to": "mi"}"#, "26.097590074"),
            ("convert_units", r#"{"value": 100, "from": "celsius", "to": "fahrenheit"}"#, "212"),
        ] {
            assert_eq!(run(name, arguments).as_deref(), Ok(answer), "{arguments}");
        }
    }

    #[test]
    fn bad_calls_are_told_what_is_wrong() {
        for (name, arguments, part) in [
            ("teleport", "{}", "no tool"),
            ("calculator", "{\"expression\": \"1", "not JSON"),
            ("calculator", "{}", "expression must be text"),
            ("convert_units", r#"{"value": "1", "from": "m", "to": "km"}"#, "value must be"),
            ("convert_units", r#"{"value": 1, "from": "m", "to": "kg"}"#, "length"),
        ] {
            let reason = run(name, arguments).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
