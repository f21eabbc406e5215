//! Tools and the choice among them.

use serde_json::{Map, Value, json};
use std::collections::HashSet;
use tollgate_types::{Error, FunctionTool, GenerateRequest, HostedTool, Result, Tool, ToolChoice};

use super::{API, NAMESPACE, blocks::add_extras};
use crate::dialects::{
    fields::{Fields, wrong_type},
    honoured::Honoured,
    merge::object,
};

/// Reads `tools`. A tool without a type, or of the type `custom`, is a function of the caller; every
/// other type is one that Anthropic defines.
pub(super) fn decode(fields: &mut Fields) -> Result<Vec<Tool>> {
    let tools = fields.list("tools")?.unwrap_or_default();
    tools.into_iter().map(|(path, tool)| decode_tool(Fields::of(path, tool)?)).collect()
}

fn decode_tool(mut fields: Fields) -> Result<Tool> {
    if let Some(kind) = fields.string("type")? {
        let is_function = kind == "custom";
        fields.put_back("type", kind.into());
        if !is_function {
            return Ok(Tool::Hosted(HostedTool { api: API.to_owned(), config: fields.rest() }));
        }
    }
    Ok(Tool::Function(FunctionTool {
        name: fields.required_string("name")?,
        description: fields.string("description")?.unwrap_or_default(),
        parameters: Value::Object(fields.required_object("input_schema")?.rest()),
        strict: fields.bool("strict")?,
        extras: fields.into_extras(NAMESPACE),
    }))
}

/// Reads `tool_choice` and whether calls may come side by side; a type without common meaning stays
/// where it is.
pub(super) fn decode_choice(fields: &mut Fields) -> Result<(Option<ToolChoice>, Option<bool>)> {
    let Some(mut choice) = fields.object("tool_choice")? else { return Ok((None, None)) };
    let kind = choice.required_string("type")?;
    let read = match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Tool(choice.required_string("name")?),
        _ => {
            choice.put_back("type", kind.into());
            fields.put_back("tool_choice", Value::Object(choice.rest()));
            return Ok((None, None));
        }
    };
    let alone = choice.bool("disable_parallel_tool_use")?;
    let rest = choice.rest();
    if !rest.is_empty() {
        fields.put_back("tool_choice", Value::Object(rest));
    }
    Ok((Some(read), alone.map(|alone| !alone)))
}

/// Writes `tools` and `tool_choice`. Anthropic cannot choose among a few of the tools, so only those
/// are offered: that means the same.
pub(super) fn encode(
    request: &GenerateRequest,
    honour: &mut Honoured,
) -> Result<Map<String, Value>> {
    let offered = match &request.tool_choice {
        Some(ToolChoice::Subset { names, .. }) => {
            Some(names.iter().map(String::as_str).collect::<HashSet<_>>())
        }
        _ => None,
    };
    let mut written = Vec::with_capacity(request.tools.len());
    for (n, tool) in request.tools.iter().enumerate() {
        let is_offered = |names: &HashSet<&str>| name_of(tool).is_some_and(|n| names.contains(n));
        if !offered.as_ref().is_none_or(is_offered) {
            continue;
        }
        match tool {
            Tool::Function(function) => written.push(encode_function(function)),
            Tool::Hosted(hosted) if hosted.api == API => {
                check_hosted(n, hosted)?;
                written.push(Value::Object(hosted.config.clone()));
            }
            Tool::Hosted(hosted) => honour.cannot(
                format!("tools[{n}]"),
                format!("a hosted tool of {} cannot be used on {API}", hosted.api),
            )?,
        }
    }
    if offered.is_some() && written.is_empty() {
        return Err(Error::invalid("tool_choice", "tool_choice names none of the tools"));
    }
    let choice = encode_choice(request, !written.is_empty());
    Ok(object([
        ("tools", Some(written).filter(|list| !list.is_empty()).map(Value::from)),
        ("tool_choice", choice),
    ]))
}

/// Refuses a tool that asks another model: neither its permission nor its price would be checked.
pub(super) fn check_hosted(n: usize, hosted: &HostedTool) -> Result<()> {
    if hosted.api != API || !hosted.config.contains_key("model") {
        return Ok(());
    }
    let message =
        "a tool that asks another model cannot be offered: that model is not checked here";
    Err(Error::invalid(format!("tools[{n}].model"), message))
}

fn name_of(tool: &Tool) -> Option<&str> {
    match tool {
        Tool::Function(function) => Some(&function.name),
        Tool::Hosted(hosted) => hosted.config.get("name")?.as_str(),
    }
}

fn encode_function(tool: &FunctionTool) -> Value {
    let schema = match &tool.parameters {
        Value::Null => json!({"type": "object", "properties": {}}),
        schema => schema.clone(),
    };
    let description = Some(tool.description.as_str()).filter(|text| !text.is_empty());
    let mut written = object([
        ("name", Some(tool.name.as_str().into())),
        ("description", description.map(Value::from)),
        ("input_schema", Some(schema)),
        ("strict", tool.strict.map(Value::Bool)),
    ]);
    add_extras(&mut written, tool.extras.get(NAMESPACE));
    Value::Object(written)
}

/// `tool_choice` is only taken together with tools.
fn encode_choice(request: &GenerateRequest, any_tools: bool) -> Option<Value> {
    let parallel = request.parallel_tool_calls;
    let (kind, name) = match &request.tool_choice {
        None if parallel == Some(false) && any_tools => ("auto", None),
        None => return None,
        Some(ToolChoice::Auto | ToolChoice::None) if !any_tools => return None,
        Some(ToolChoice::Auto | ToolChoice::Subset { required: false, .. }) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required | ToolChoice::Subset { required: true, .. }) => ("any", None),
        Some(ToolChoice::Tool(name)) => ("tool", Some(name.as_str())),
    };
    let alone = parallel.map(|parallel| !parallel).filter(|_| kind != "none");
    Some(Value::Object(object([
        ("type", Some(kind.into())),
        ("name", name.map(Value::from)),
        ("disable_parallel_tool_use", alone.map(Value::Bool)),
    ])))
}

/// The error for content that is no object where a tool's input must be one.
pub(super) fn input_of(place: &str, arguments: &str) -> Result<Value> {
    let text = arguments.trim();
    let input =
        serde_json::from_str(if text.is_empty() { "{}" } else { text }).map_err(|cause| {
            let message = format!("{place}: the arguments of a call must be JSON: {cause}");
            Error::invalid(place, message).with_source(cause)
        })?;
    match input {
        Value::Object(_) => Ok(input),
        other => Err(wrong_type(place, "a call whose arguments are an object", &other)),
    }
}
