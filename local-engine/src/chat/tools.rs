//! Tools in the prompt: as a list for templates that take one, as text for those that do not.

use super::template::python_json;
use serde_json::{Value, json};
use tollgate_types::FunctionTool;

/// The list that templates take; `None` without tools, because templates ask whether it is there.
pub(super) fn listed(tools: &[&FunctionTool]) -> Option<Value> {
    (!tools.is_empty()).then(|| tools.iter().map(|tool| function(tool)).collect())
}

fn function(tool: &FunctionTool) -> Value {
    let nothing = || json!({"type": "object", "properties": {}});
    let parameters = if tool.parameters.is_null() { nothing() } else { tool.parameters.clone() };
    json!({
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters,
        },
    })
}

/// Describes the tools in the system turn, in the words that most open models were trained on.
pub(super) fn describe(turns: &mut Vec<Value>, tools: &[&FunctionTool]) {
    let lines: Vec<String> = tools.iter().map(|tool| python_json(&function(tool))).collect();
    let text = format!(
        "You may call these tools to answer the user. Each line describes one:\n\
         <tools>\n{}\n</tools>\n\
         To call a tool, answer with a JSON object of its name and its arguments inside tags:\n\
         <tool_call>\n{{\"name\": \"...\", \"arguments\": {{...}}}}\n</tool_call>",
        lines.join("\n")
    );
    let system = turns.first_mut().filter(|turn| turn["role"] == "system");
    match system.and_then(|turn| turn.get_mut("content")) {
        Some(content) => {
            let before = content.as_str().unwrap_or_default();
            *content = format!("{before}\n\n{text}").into();
        }
        None => turns.insert(0, json!({"role": "system", "content": text})),
    }
}
