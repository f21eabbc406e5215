//! Tools, and the calls a model made, whose arguments are objects.

use serde_json::{Map, Value, json};
use std::collections::HashSet;
use tollgate_types::{
    Error, Extras, FunctionTool, GenerateRequest, HostedTool, Result, Tool, ToolCall, ToolChoice,
};

use super::{CHAT_API, NAMESPACE};
use crate::dialects::{
    call_id::{self, IdRule},
    fields::Fields,
    honoured::Honoured,
    merge::{merge, object},
};

/// Where a tool's own fields beside `function` are kept among its extras.
const BESIDE: &str = "beside_function";

/// Reads `tools`.
pub(super) fn decode(fields: &mut Fields) -> Result<Vec<Tool>> {
    let tools = fields.list("tools")?.unwrap_or_default();
    tools.into_iter().map(|(path, tool)| decode_tool(Fields::of(path, tool)?)).collect()
}

fn decode_tool(mut fields: Fields) -> Result<Tool> {
    let kind = fields.string("type")?.unwrap_or_else(|| "function".to_owned());
    if kind != "function" {
        fields.put_back("type", kind.into());
        return Ok(Tool::Hosted(HostedTool { api: CHAT_API.to_owned(), config: fields.rest() }));
    }
    let mut function = fields.required_object("function")?;
    let mut tool = FunctionTool {
        name: function.required_string("name")?,
        description: function.string("description")?.unwrap_or_default(),
        parameters: function.take("parameters").unwrap_or_default(),
        strict: None,
        extras: Extras::new(),
    };
    let beside = fields.rest();
    if !beside.is_empty() {
        function.put_back(BESIDE, Value::Object(beside));
    }
    tool.extras = function.into_extras(NAMESPACE);
    Ok(Tool::Function(tool))
}

/// Writes `tools`: those that the choice among them leaves. Ollama itself knows no choice.
pub(super) fn encode(request: &GenerateRequest, honour: &mut Honoured) -> Result<Vec<Value>> {
    let subset = match &request.tool_choice {
        Some(ToolChoice::None) => Some(HashSet::new()),
        Some(ToolChoice::Subset { names, .. }) => {
            Some(names.iter().map(String::as_str).collect::<HashSet<_>>())
        }
        _ => None,
    };
    let permits = |name: &str| subset.as_ref().is_none_or(|names| names.contains(name));
    match &request.tool_choice {
        Some(
            ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Subset { required: true, .. },
        ) => {
            honour.cannot("tool_choice", "Ollama cannot be made to call a tool")?;
        }
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Subset { .. }) | None => {}
    }
    if request.parallel_tool_calls == Some(false) && !request.tools.is_empty() {
        let message = "Ollama cannot be kept from calling several tools at once";
        honour.cannot("parallel_tool_calls", message)?;
    }
    let mut written = Vec::with_capacity(request.tools.len());
    for (n, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) if permits(&function.name) => {
                if function.strict == Some(true) {
                    let message = "Ollama does not hold a model to a tool's schema";
                    honour.cannot(format!("tools[{n}].strict"), message)?;
                }
                written.push(encode_function(function));
            }
            Tool::Hosted(hosted) if hosted.api == CHAT_API => {
                written.push(Value::Object(hosted.config.clone()));
            }
            Tool::Function(_) => {}
            Tool::Hosted(hosted) => honour.cannot(
                format!("tools[{n}]"),
                format!("a hosted tool of {} cannot be used on {CHAT_API}", hosted.api),
            )?,
        }
    }
    Ok(written)
}

fn encode_function(tool: &FunctionTool) -> Value {
    let described = Some(&tool.description).filter(|text| !text.is_empty());
    let mut function = object([
        ("name", Some(tool.name.as_str().into())),
        ("description", described.map(|text| text.as_str().into())),
        ("parameters", Some(tool.parameters.clone()).filter(|schema| !schema.is_null())),
    ]);
    if let Some(extras) = tool.extras.get(NAMESPACE) {
        merge(&mut function, extras);
    }
    let beside = function.shift_remove(BESIDE);
    let mut written =
        object([("type", Some("function".into())), ("function", Some(function.into()))]);
    if let Some(Value::Object(beside)) = beside {
        merge(&mut written, &beside);
    }
    Value::Object(written)
}

/// The argument text of a call: an object as a rule, text from some clients.
pub(super) fn arguments(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}

/// Reads one call of an answer or of a turn that a client sends back; `made_up` is its id where it
/// has none.
pub(super) fn decode_call(
    mut fields: Fields,
    made_up: impl FnOnce() -> String,
) -> Result<ToolCall> {
    let mut function = fields.required_object("function")?;
    let id = match fields.string("id")? {
        Some(id) => Some(id),
        None => function.string("id")?,
    };
    let call = ToolCall {
        id: id.filter(|id| !id.is_empty()).unwrap_or_else(made_up),
        name: function.required_string("name")?,
        arguments: arguments(function.take("arguments")),
        ..ToolCall::default()
    };
    // The place in the list says the same.
    function.take("index");
    if let Some(kind) = fields.string("type")?.filter(|kind| kind != "function") {
        let path = fields.path_of("type");
        let message = format!("{path} must be function, not {kind:?}");
        return Err(Error::invalid(path, message));
    }
    let rest = function.rest();
    if !rest.is_empty() {
        fields.put_back("function", Value::Object(rest));
    }
    Ok(ToolCall { extras: fields.into_extras(NAMESPACE), ..call })
}

/// Writes one call; `None` when its arguments are no object, which is all that the format has a
/// place for.
pub(super) fn encode_call(call: &ToolCall, index: usize) -> Option<Value> {
    let arguments: Map<String, Value> = match call.parse() {
        Ok(Value::Object(arguments)) => arguments,
        _ => return None,
    };
    let mut written = object([
        ("id", Some(call_id::fit(&call.id, IdRule::Any).into())),
        ("function", Some(json!({"index": index, "name": call.name, "arguments": arguments}))),
    ]);
    if let Some(extras) = call.extras.get(NAMESPACE) {
        merge(&mut written, extras);
    }
    Some(Value::Object(written))
}
