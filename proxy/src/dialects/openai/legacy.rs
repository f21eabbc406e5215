//! The functions that OpenAI has replaced by tools: read as tools, and written back as functions for
//! the clients that know nothing else.

use serde_json::Value;
use std::collections::HashMap;
use tollgate_types::{
    Error, FunctionTool, GenerateRequest, Message, Part, Result, Tool, ToolCall, ToolChoice,
    ToolResult,
};

use super::{NAMESPACE, tools::arguments};
use crate::dialects::fields::{Fields, wrong_type};

/// Reads `functions` and `function_call`; whether there were any.
pub(super) fn decode(fields: &mut Fields, request: &mut GenerateRequest) -> Result<bool> {
    let functions = fields.list("functions")?;
    let is_legacy = functions.is_some();
    for (path, function) in functions.unwrap_or_default() {
        let mut function = Fields::of(path, function)?;
        request.tools.push(Tool::Function(FunctionTool {
            name: function.required_string("name")?,
            description: function.string("description")?.unwrap_or_default(),
            parameters: function.take("parameters").unwrap_or_default(),
            strict: None,
            extras: function.into_extras(NAMESPACE),
        }));
    }
    if let Some(choice) = fields.take("function_call") {
        request.tool_choice = Some(match &choice {
            Value::String(word) if word == "auto" => ToolChoice::Auto,
            Value::String(word) if word == "none" => ToolChoice::None,
            Value::Object(_) => {
                let mut named = Fields::of("function_call".to_owned(), choice)?;
                ToolChoice::Tool(named.required_string("name")?)
            }
            other => return Err(wrong_type("function_call", "auto, none or an object", other)),
        });
    }
    if is_legacy {
        // Such a client reads one call of an answer, and no more.
        request.parallel_tool_calls = request.parallel_tool_calls.or(Some(false));
    }
    Ok(is_legacy)
}

/// Reads the function that an assistant message calls. It has no id: its place in the conversation
/// is one.
pub(super) fn decode_call(fields: &mut Fields, place: usize) -> Result<Option<Part>> {
    let Some(mut call) = fields.object("function_call")? else { return Ok(None) };
    let name = call.required_string("name")?;
    let arguments = arguments(call.take("arguments").as_ref());
    let id = format!("call_function_{place}");
    Ok(Some(Part::ToolCall(ToolCall { id, name, arguments, ..ToolCall::default() })))
}

/// Reads what a function answered: the latest call of its name is the one.
pub(super) fn decode_result(
    fields: &mut Fields,
    content: Vec<Part>,
    calls: &Calls,
) -> Result<Part> {
    let name = fields.required_string("name")?;
    let call_id = calls.0.get(&name).cloned().ok_or_else(|| {
        let path = fields.path_of("name");
        Error::invalid(path, format!("no message before calls the function {name:?}"))
    })?;
    let name = Some(name);
    Ok(Part::ToolResult(ToolResult { call_id, name, content, ..ToolResult::default() }))
}

/// The id of each function's latest call.
#[derive(Default)]
pub(super) struct Calls(HashMap<String, String>);

impl Calls {
    /// A message may hold calls.
    pub(super) fn note(&mut self, message: &Message) {
        for part in &message.content {
            if let Part::ToolCall(call) = part {
                self.0.insert(call.name.clone(), call.id.clone());
            }
        }
    }
}

/// Rewrites an answer or a chunk for a client that knows functions alone: the first call is its
/// function call.
pub fn as_functions(written: &mut Value) {
    let choices = written.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten().filter_map(Value::as_object_mut) {
        for key in ["message", "delta"] {
            let Some(Value::Object(said)) = choice.get_mut(key) else { continue };
            let Some(Value::Array(calls)) = said.shift_remove("tool_calls") else { continue };
            let first = |call: &&Value| call.get("index").is_none_or(|index| index == 0);
            let call = calls.iter().find(first).and_then(|call| call.get("function"));
            if let Some(function) = call {
                said.insert("function_call".to_owned(), function.clone());
            }
        }
        if choice.get("finish_reason").is_some_and(|reason| reason == "tool_calls") {
            choice.insert("finish_reason".to_owned(), "function_call".into());
        }
    }
}
