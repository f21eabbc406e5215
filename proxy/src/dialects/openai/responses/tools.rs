//! Tools and the choice among them, in the Responses API's flat shapes.

use serde_json::{Map, Value, json};
use tollgate_types::{Error, FunctionTool, HostedTool, Result, Tool, ToolChoice};

use super::{
    super::{custom, tools::is_custom_name},
    API, NAMESPACE,
    content::fill,
};
use crate::dialects::{
    fields::{Fields, wrong_type},
    honoured::Honoured,
    merge::object,
    reserved,
};

/// Reads `tools`.
pub(super) fn decode(fields: &mut Fields) -> Result<Vec<Tool>> {
    let tools = fields.list("tools")?.unwrap_or_default();
    tools.into_iter().map(|(path, tool)| decode_tool(Fields::of(path, tool)?)).collect()
}

fn decode_tool(mut fields: Fields) -> Result<Tool> {
    let kind = fields.required_string("type")?;
    if kind != "function" {
        fields.put_back("type", kind.into());
        return Ok(Tool::Hosted(HostedTool { api: API.to_owned(), config: fields.rest() }));
    }
    let mut tool = FunctionTool {
        name: fields.required_string("name")?,
        description: fields.string("description")?.unwrap_or_default(),
        parameters: fields.take("parameters").unwrap_or_default(),
        strict: fields.bool("strict")?,
        ..FunctionTool::default()
    };
    if tool.strict.is_none() {
        // Here silence means strict, in chat completions it means the opposite.
        fields.put_back("strict", Value::Null);
    }
    tool.extras = fields.into_extras(NAMESPACE);
    Ok(Tool::Function(tool))
}

/// Writes `tools`.
pub(super) fn encode(tools: &[Tool], honoured: &mut Honoured) -> Result<Vec<Value>> {
    let mut written = Vec::with_capacity(tools.len());
    for (n, tool) in tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => written.push(encode_function(function)),
            Tool::Hosted(hosted) if hosted.api == API => {
                written.push(Value::Object(hosted.config.clone()));
            }
            Tool::Hosted(hosted) => match custom::for_responses(hosted) {
                Some(custom) => written.push(Value::Object(custom)),
                None => honoured.cannot(
                    format!("tools[{n}]"),
                    format!("a hosted tool of {} cannot be used on {API}", hosted.api),
                )?,
            },
        }
    }
    Ok(written)
}

/// Refuses a tool that asks another model: neither its permission nor its price would be checked.
pub(super) fn check_hosted(n: usize, hosted: &HostedTool) -> Result<()> {
    let named = reserved::field(&hosted.config, "model").any(|(_, model)| !model.is_null());
    if hosted.api != API || !named {
        return Ok(());
    }
    let message =
        "a tool that asks another model cannot be offered: that model is not checked here";
    Err(Error::invalid(format!("tools[{n}].model"), message))
}

fn encode_function(tool: &FunctionTool) -> Value {
    let said = |text: &String| (!text.is_empty()).then(|| text.as_str().into());
    let mut function = object([
        ("type", Some("function".into())),
        ("name", Some(tool.name.as_str().into())),
        ("description", said(&tool.description)),
        ("parameters", Some(tool.parameters.clone()).filter(|schema| !schema.is_null())),
        ("strict", tool.strict.map(Value::Bool)),
    ]);
    fill(&mut function, &tool.extras);
    function.entry("strict").or_insert(Value::Bool(false));
    Value::Object(function)
}

/// Reads `tool_choice`; a shape without common meaning stays where it is.
pub(super) fn decode_choice(fields: &mut Fields) -> Result<Option<ToolChoice>> {
    let path = fields.path_of("tool_choice");
    let Some(choice) = fields.take("tool_choice") else { return Ok(None) };
    match &choice {
        Value::String(word) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
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

/// The name in `{"type": "function", "name": ...}`, likewise for custom tools.
fn named(choice: &Value) -> Option<String> {
    let kind = choice.get("type")?.as_str()?;
    let name = choice.get("name")?.as_str()?;
    matches!(kind, "function" | "custom").then(|| name.to_owned())
}

fn subset(choice: &Value) -> Option<ToolChoice> {
    if choice.get("type")? != "allowed_tools" {
        return None;
    }
    let names = choice.get("tools")?.as_array()?.iter().map(named).collect::<Option<_>>()?;
    Some(ToolChoice::Subset { names, required: choice.get("mode")? == "required" })
}

/// Writes `tool_choice`.
pub(super) fn encode_choice(choice: &ToolChoice, tools: &[Tool]) -> Value {
    let named = |name: &String| {
        let kind = if is_custom_name(name, tools) { "custom" } else { "function" };
        Value::Object(Map::from_iter([
            ("type".to_owned(), kind.into()),
            ("name".to_owned(), name.as_str().into()),
        ]))
    };
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool(name) => named(name),
        ToolChoice::Subset { names, required } => json!({
            "type": "allowed_tools",
            "mode": if *required { "required" } else { "auto" },
            "tools": names.iter().map(named).collect::<Vec<_>>(),
        }),
    }
}
