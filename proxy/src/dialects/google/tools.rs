//! Tools and the choice among them: `tools`, `toolConfig`.

use serde_json::{Map, Value, json};
use tollgate_types::{Error, Extras, FunctionTool, HostedTool, Result, Tool, ToolChoice};

use super::{
    API, NAMESPACE,
    names::{list_or_one, object_at, object_in},
    schema::to_json_schema,
};
use crate::dialects::{
    fields::Fields,
    honoured::Honoured,
    merge::{merge, object},
};

/// Reads `tools`. One entry may hold several functions and tools of Google's own.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub(super) fn decode(fields: &mut Fields) -> Result<Vec<Tool>> {
    let mut tools = Vec::new();
    for (path, entry) in list_or_one(fields, "tools")?.unwrap_or_default() {
        let mut entry = object_at(path, entry)?;
        for (path, function) in list_or_one(&mut entry, "functionDeclarations")?.unwrap_or_default()
        {
            tools.push(Tool::Function(decode_function(object_at(path, function)?)?));
        }
        for (name, config) in entry.rest() {
            if !config.is_null() {
                let config = Map::from_iter([(name, config)]);
                tools.push(Tool::Hosted(HostedTool { api: API.to_owned(), config }));
            }
        }
    }
    Ok(tools)
}

fn decode_function(mut fields: Fields) -> Result<FunctionTool> {
    let name = fields.required_string("name")?;
    let description = fields.string("description")?.unwrap_or_default();
    let mut parameters = fields.take("parametersJsonSchema").unwrap_or_default();
    if parameters.is_null()
        && let Some(googles) = fields.take("parameters")
    {
        parameters = to_json_schema(&googles);
        // Kept beside what everybody reads, and sent again to Google.
        fields.put_back("parameters", googles);
    }
    let extras = fields.into_extras(NAMESPACE);
    Ok(FunctionTool { name, description, parameters, strict: None, extras })
}

/// Writes `tools`: the functions together, each of Google's own tools for itself.
///
/// # Errors
/// `unsupported` for tools of another API.
pub(super) fn encode(tools: &[Tool], honoured: &mut Honoured) -> Result<Vec<Value>> {
    let mut functions = Vec::new();
    let mut hosted_tools = Vec::new();
    for (n, tool) in tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => functions.push(encode_function(function)),
            Tool::Hosted(hosted) if hosted.api == API => {
                if hosted
                    .config
                    .keys()
                    .any(|key| super::names::camel(key) == "functionDeclarations")
                {
                    let message = "functions are tools of their own";
                    return Err(Error::invalid(format!("tools[{n}]"), message));
                }
                hosted_tools.push(Value::Object(hosted.config.clone()));
            }
            Tool::Hosted(hosted) => honoured.cannot(
                format!("tools[{n}]"),
                format!("a hosted tool of {} cannot be used on {API}", hosted.api),
            )?,
        }
    }
    let mut written = Vec::new();
    if !functions.is_empty() {
        written.push(json!({"functionDeclarations": functions}));
    }
    written.append(&mut hosted_tools);
    Ok(written)
}

/// The schema goes out as JSON schema, so that nothing of it is lost, unless Google's own is known.
fn encode_function(tool: &FunctionTool) -> Value {
    let own = tool.extras.get(NAMESPACE);
    let googles = own.is_some_and(|own| own.contains_key("parameters"));
    let description = Some(&tool.description).filter(|words| !words.is_empty());
    let schema = Some(&tool.parameters).filter(|schema| !schema.is_null() && !googles);
    let mut written = object([
        ("name", Some(tool.name.as_str().into())),
        ("description", description.map(|words| words.as_str().into())),
        ("parametersJsonSchema", schema.cloned()),
    ]);
    if let Some(own) = own {
        merge(&mut written, own);
    }
    Value::Object(written)
}

/// Reads `toolConfig`; what the common vocabulary does not say stays where it is.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub(super) fn decode_choice(fields: &mut Fields) -> Result<Option<ToolChoice>> {
    let Some(mut config) = object_in(fields, "toolConfig")? else { return Ok(None) };
    let choice = match object_in(&mut config, "functionCallingConfig")? {
        Some(calling) => decode_calling(calling, &mut config)?,
        None => None,
    };
    let rest = config.rest();
    if !rest.is_empty() {
        fields.put_back("toolConfig", Value::Object(rest));
    }
    Ok(choice)
}

fn decode_calling(mut calling: Fields, config: &mut Fields) -> Result<Option<ToolChoice>> {
    let mode = calling.string("mode")?.map(|mode| mode.to_ascii_uppercase());
    let names = calling.list("allowedFunctionNames")?.unwrap_or_default();
    let names: Vec<String> = names
        .into_iter()
        .map(|(path, name)| match name {
            Value::String(name) => Ok(name),
            other => Err(crate::dialects::fields::wrong_type(&path, "a string", &other)),
        })
        .collect::<Result<_>>()?;
    let choice = match (mode.as_deref(), names.as_slice()) {
        (Some("NONE"), _) => Some(ToolChoice::None),
        (Some("ANY"), []) => Some(ToolChoice::Required),
        (Some("ANY"), [name]) => Some(ToolChoice::Tool(name.clone())),
        (Some("ANY"), _) => Some(ToolChoice::Subset { names: names.clone(), required: true }),
        (_, [_, ..]) => Some(ToolChoice::Subset { names: names.clone(), required: false }),
        (Some("AUTO"), []) => Some(ToolChoice::Auto),
        (_, []) => None,
    };
    // What the choice does not say, such as VALIDATED without names.
    let mut rest = calling.rest();
    let written = choice.as_ref().map(|choice| encode_choice(choice, false));
    let said = written.as_ref().and_then(|written| written.get("mode")?.as_str());
    if let Some(mode) = mode.filter(|mode| said != Some(mode)) {
        rest.insert("mode".to_owned(), mode.into());
    }
    if !rest.is_empty() {
        config.put_back("functionCallingConfig", Value::Object(rest));
    }
    Ok(choice)
}

/// Writes the `functionCallingConfig`. Google has no switch for strict schemas: the mode VALIDATED
/// holds calls to them, as ANY does.
pub(super) fn encode_choice(choice: &ToolChoice, strict: bool) -> Value {
    let free = if strict { "VALIDATED" } else { "AUTO" };
    match choice {
        ToolChoice::Auto => json!({"mode": free}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Tool(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
        ToolChoice::Subset { names, required } => {
            let mode = if *required { "ANY" } else { "VALIDATED" };
            json!({"mode": mode, "allowedFunctionNames": names})
        }
    }
}

/// Whether any function's schema has to be obeyed.
pub(super) fn any_strict(tools: &[Tool]) -> bool {
    let is_strict = |tool: &Tool| matches!(tool, Tool::Function(f) if f.strict == Some(true));
    tools.iter().any(is_strict)
}

/// Extras of a function that would set what stands in its own fields.
pub(super) fn reserved_in(extras: &Extras) -> Option<&str> {
    let own = extras.get(NAMESPACE)?;
    let reserved = ["name", "description", "parametersJsonSchema"];
    own.keys().map(String::as_str).find(|key| reserved.contains(&super::names::camel(key).as_ref()))
}
