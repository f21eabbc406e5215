//! A generateContent request, written for an upstream.

use serde_json::{Map, Value};
use tollgate_types::{Error, Extras, GenerateRequest, Message, Part, Result, Tool, Warning};

use super::{
    NAMESPACE, encode_config, encode_message::encode_messages, function, names::camel, parts, tools,
};
use crate::dialects::{
    honoured::Honoured,
    merge::{merge, object},
};

/// Whose servers these are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// The Gemini API.
    #[default]
    Gemini,
    /// Vertex AI: other embeddings, other token counts.
    Vertex,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model's bare id at the upstream.
    pub model: &'a str,
    /// Whose servers these are.
    pub platform: Platform,
}

/// Fields that extras may not set: they would get past permissions, prices and limits.
const RESERVED: [&str; 5] =
    ["contents", "systemInstruction", "tools", "model", "generateContentRequest"];
/// The last ones let Vertex AI choose another model.
const RESERVED_IN_CONFIG: [&str; 4] =
    ["maxOutputTokens", "candidateCount", "routingConfig", "modelConfig"];
/// Tiers that cost no more than the list price.
const ORDINARY_TIERS: [&str; 3] = ["unspecified", "standard", "flex"];

/// Writes the upstream's body, and tells what it leaves out.
///
/// # Errors
/// `unsupported` with the field that cannot be honoured, unless the request asks for a warning;
/// `invalid_request` when extras set a field that the proxy has to control.
pub fn encode_generate(
    request: &GenerateRequest,
    target: Target<'_>,
) -> Result<(Value, Vec<Warning>)> {
    check(request)?;
    let mut honoured = Honoured::of(request, NAMESPACE)?;
    let honour = &mut honoured;
    let contents = encode_messages(&request.messages, target.model, honour)?;
    let tools = tools::encode(&request.tools, honour)?;
    let config = encode_config::encode(request, target.model, honour)?;
    let mut body = object([
        ("contents", Some(contents.turns.into())),
        ("systemInstruction", contents.system),
        ("tools", Some(tools).filter(|tools| !tools.is_empty()).map(Value::from)),
        ("toolConfig", tool_config(request)),
        ("generationConfig", Some(config).filter(|c| !c.is_empty()).map(Value::Object)),
    ]);
    refuse(request, honour)?;
    if let Some(own) = request.extras.get(NAMESPACE) {
        let own = own.iter().map(|(key, value)| (camel(key).into_owned(), value.clone()));
        merge(&mut body, &own.collect());
    }
    Ok((Value::Object(body), honoured.into_warnings()))
}

fn tool_config(request: &GenerateRequest) -> Option<Value> {
    let strict = tools::any_strict(&request.tools);
    let auto = strict.then_some(&tollgate_types::ToolChoice::Auto);
    let choice = request.tool_choice.as_ref().or(auto)?;
    let calling = tools::encode_choice(choice, strict);
    Some(Value::Object(object([("functionCallingConfig", Some(calling))])))
}

fn refuse(request: &GenerateRequest, honour: &mut Honoured) -> Result<()> {
    if request.parallel_tool_calls == Some(false) {
        let message = "Google's models cannot be kept from calling several tools at once";
        honour.cannot("parallel_tool_calls", message)?;
    }
    if request.continues.is_some() {
        honour.cannot("continues", "generateContent cannot continue a stored conversation")?;
    }
    if request.store == Some(true) {
        honour.cannot("store", "generateContent does not store answers")?;
    }
    if request.choices.is_some_and(|choices| choices != 1) {
        honour.cannot("choices", "several answers reach only a caller of the same wire format")?;
    }
    Ok(())
}

/// Refuses what would get past permissions, prices and limits.
pub(super) fn check(request: &GenerateRequest) -> Result<()> {
    for (at, message) in request.messages.iter().enumerate() {
        check_turn(message, &format!("messages[{at}]"))?;
    }
    for (at, tool) in request.tools.iter().enumerate() {
        if let Tool::Function(function) = tool
            && let Some(key) = tools::reserved_in(&function.extras)
        {
            return Err(reserved(&format!("tools[{at}].extras.{NAMESPACE}"), key));
        }
    }
    let Some(own) = request.extras.get(NAMESPACE) else { return Ok(()) };
    let place = format!("extras.{NAMESPACE}");
    refuse_keys(own, &RESERVED, &place)?;
    for (key, value) in own {
        if camel(key) == "generationConfig" {
            let Value::Object(config) = value else {
                return Err(Error::invalid(
                    format!("{place}.{key}"),
                    format!("{key} must be an object"),
                ));
            };
            refuse_keys(config, &RESERVED_IN_CONFIG, &format!("{place}.{key}"))?;
        }
        if camel(key) == "serviceTier" && !is_ordinary(value) {
            let message = format!("serviceTier {value} has no price here, use standard or flex");
            return Err(Error::invalid(format!("{place}.{key}"), message));
        }
    }
    Ok(())
}

fn is_ordinary(tier: &Value) -> bool {
    tier.as_str().is_some_and(|tier| {
        let tier = tier.to_ascii_lowercase();
        ORDINARY_TIERS.contains(&tier.trim_start_matches("service_tier_"))
    })
}

fn check_turn(message: &Message, place: &str) -> Result<()> {
    if let Some(own) = message.extras.get(NAMESPACE) {
        refuse_keys(own, &["role", "parts"], &format!("{place}.extras.{NAMESPACE}"))?;
    }
    for (at, part) in message.content.iter().enumerate() {
        let own = |extras: &'_ Extras| extras.get(NAMESPACE).cloned().unwrap_or_default();
        let place = format!("{place}.content[{at}].extras.{NAMESPACE}");
        let found = match part {
            Part::ToolResult(result) => {
                let own = own(&result.extras);
                function::reserved_in(&own).map(str::to_owned)
            }
            Part::Text(part) => content_key(&own(&part.extras)),
            Part::Reasoning(part) => content_key(&own(&part.extras)),
            Part::ToolCall(part) => content_key(&own(&part.extras)),
            Part::Media(part) => content_key(&own(&part.extras)),
            Part::Refusal(_) | Part::Native(_) => None,
        };
        if let Some(key) = found {
            return Err(reserved(&place, &key));
        }
    }
    Ok(())
}

fn content_key(own: &Map<String, Value>) -> Option<String> {
    own.keys().find(|key| parts::is_content(key)).cloned()
}

fn refuse_keys(own: &Map<String, Value>, keys: &[&str], place: &str) -> Result<()> {
    match own.keys().find(|key| keys.contains(&camel(key).as_ref())) {
        Some(key) => Err(reserved(place, key)),
        None => Ok(()),
    }
}

fn reserved(place: &str, key: &str) -> Error {
    Error::invalid(format!("{place}.{key}"), format!("{key} cannot be set through extras"))
}
