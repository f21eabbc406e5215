//! Tools, the choice among them, and the calls a model made.

use serde_json::{Map, Value, json};
use tollgate_types::{
    Error, ErrorKind, Extras, FunctionTool, HostedTool, Result, Tool, ToolCall, ToolChoice,
};

use super::{CHAT_API, NAMESPACE, custom, details, extras_of};
use crate::dialects::{
    call_id::{self, IdRule},
    fields::{Fields, numbered, wrong_type},
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
    let kind = fields.required_string("type")?;
    if kind != "function" {
        fields.put_back("type", kind.into());
        return Ok(Tool::Hosted(HostedTool { api: CHAT_API.to_owned(), config: fields.rest() }));
    }
    let mut function = fields.required_object("function")?;
    let mut tool = FunctionTool {
        name: function.required_string("name")?,
        description: function.string("description")?.unwrap_or_default(),
        parameters: function.take("parameters").unwrap_or_default(),
        strict: function.bool("strict")?,
        extras: Extras::new(),
    };
    let beside = fields.rest();
    if !beside.is_empty() {
        function.put_back(BESIDE, Value::Object(beside));
    }
    tool.extras = function.into_extras(NAMESPACE);
    Ok(Tool::Function(tool))
}

/// Writes `tools`.
pub(super) fn encode(tools: &[Tool], honoured: &mut Honoured) -> Result<Vec<Value>> {
    let mut written = Vec::with_capacity(tools.len());
    for (n, tool) in tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => written.push(encode_function(function)),
            Tool::Hosted(hosted) if hosted.api == CHAT_API => {
                written.push(Value::Object(hosted.config.clone()));
            }
            Tool::Hosted(hosted) => match custom::for_chat(hosted) {
                Some(custom) => written.push(Value::Object(custom)),
                None => honoured.cannot(
                    format!("tools[{n}]"),
                    format!("a hosted tool of {} cannot be used on {CHAT_API}", hosted.api),
                )?,
            },
        }
    }
    Ok(written)
}

fn encode_function(tool: &FunctionTool) -> Value {
    let mut function = object([
        ("name", Some(tool.name.as_str().into())),
        (
            "description",
            Some(&tool.description).filter(|d| !d.is_empty()).map(|d| d.as_str().into()),
        ),
        ("parameters", Some(tool.parameters.clone()).filter(|schema| !schema.is_null())),
        ("strict", tool.strict.map(Value::Bool)),
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

/// Reads `tool_choice`; a shape without common meaning stays where it is.
pub(super) fn decode_choice(fields: &mut Fields) -> Result<Option<ToolChoice>> {
    let path = fields.path_of("tool_choice");
    let Some(choice) = fields.take("tool_choice") else { return Ok(None) };
    match &choice {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            _ => Err(Error::invalid(
                path.clone(),
                format!("{path} must be auto, none, required or an object, not {word:?}"),
            )),
        },
        Value::Object(_) => {
            let read = named(&choice).map(ToolChoice::Tool).or_else(|| subset(&choice));
            if read.is_none() {
                fields.put_back("tool_choice", choice);
            }
            Ok(read)
        }
        other => Err(wrong_type(&path, "a string or an object", other)),
    }
}

/// The name in `{"type": "function", "function": {"name": ...}}`, likewise for custom tools.
fn named(choice: &Value) -> Option<String> {
    let kind = choice.get("type")?.as_str()?;
    if !matches!(kind, "function" | "custom") {
        return None;
    }
    Some(choice.get(kind)?.get("name")?.as_str()?.to_owned())
}

fn subset(choice: &Value) -> Option<ToolChoice> {
    let allowed = choice.get("allowed_tools")?;
    let names = allowed.get("tools")?.as_array()?.iter().map(named).collect::<Option<_>>()?;
    Some(ToolChoice::Subset { names, required: allowed.get("mode")? == "required" })
}

/// Writes `tool_choice`.
pub(super) fn encode_choice(choice: &ToolChoice, tools: &[Tool]) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool(name) => encode_named(name, tools),
        ToolChoice::Subset { names, required } => json!({
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": if *required { "required" } else { "auto" },
                "tools": names.iter().map(|name| encode_named(name, tools)).collect::<Vec<_>>(),
            },
        }),
    }
}

fn encode_named(name: &str, tools: &[Tool]) -> Value {
    let kind = if is_custom_name(name, tools) { "custom" } else { "function" };
    let mut choice = Map::from_iter([("type".to_owned(), Value::from(kind))]);
    choice.insert(kind.to_owned(), json!({"name": name}));
    Value::Object(choice)
}

/// Whether a name is that of a custom tool.
pub(super) fn is_custom_name(name: &str, tools: &[Tool]) -> bool {
    tools.iter().any(|tool| match tool {
        Tool::Hosted(hosted) => custom::name(hosted) == Some(name),
        Tool::Function(_) => false,
    })
}

/// Reads `tool_calls` of an assistant message that the client sends back.
pub(super) fn decode_calls(path: &str, calls: Vec<Value>) -> Result<Vec<ToolCall>> {
    let read = |(path, call)| decode_call(Fields::of(path, call)?);
    numbered(path, calls).into_iter().map(read).collect()
}

fn decode_call(mut fields: Fields) -> Result<ToolCall> {
    let id = fields.required_string("id")?;
    let kind = fields.string("type")?.unwrap_or_else(|| "function".to_owned());
    let (name, arguments) = match kind.as_str() {
        "function" => {
            let mut function = fields.required_object("function")?;
            (function.required_string("name")?, arguments(function.take("arguments").as_ref()))
        }
        "custom" => {
            let mut custom = fields.required_object("custom")?;
            fields.put_back("type", kind.into());
            (custom.required_string("name")?, custom.string("input")?.unwrap_or_default())
        }
        other => {
            let message = format!("tool calls of type {other:?} are not known");
            let error = Error::new(ErrorKind::Unsupported, message);
            return Err(error.with(|body| body.param = Some(fields.path_of("type"))));
        }
    };
    let mut own = fields.rest();
    let mut extras = details::take_signature(&mut own);
    extras.extend(extras_of(own));
    Ok(ToolCall { id, name, arguments, hosted: false, extras })
}

/// The argument text: some hosts write an object instead of text, and `null` for no arguments.
pub(super) fn arguments(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text == "null" => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The facts that mark a call of a custom tool.
pub(super) fn custom_facts() -> Map<String, Value> {
    object([("type", Some("custom".into()))])
}

/// Writes one call with the fields a message wants; a stream adds its index.
pub(super) fn encode_call(call: &ToolCall, ids: IdRule) -> Map<String, Value> {
    let id = call_id::fit(&call.id, ids);
    let mut written = if custom::is_call(call) {
        object([
            ("id", Some(id.into())),
            ("type", Some("custom".into())),
            ("custom", Some(json!({"name": call.name, "input": call.arguments}))),
        ])
    } else {
        object([
            ("id", Some(id.into())),
            ("type", Some("function".into())),
            ("function", Some(json!({"name": call.name, "arguments": call.arguments}))),
        ])
    };
    if let Some(extras) = call.extras.get(NAMESPACE) {
        merge(&mut written, extras);
    }
    written
}

/// Writes more of a call's arguments.
pub(super) fn encode_call_delta(index: usize, custom: bool, delta: &str) -> Value {
    if custom {
        json!({"index": index, "custom": {"input": delta}})
    } else {
        json!({"index": index, "function": {"arguments": delta}})
    }
}
