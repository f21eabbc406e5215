//! A messages request, written for an upstream.

use serde_json::{Map, Value, json};
use tollgate_types::{
    Error, GenerateRequest, Modality, Original, OutputFormat, Result, Sampling, Tool, Warning,
};

use super::{
    NAMESPACE,
    encode_message::Conversation,
    thinking::{self, Room},
    tools,
};
use crate::dialects::{
    honoured::Honoured,
    merge::{merge, object},
    patch::Patch,
    reserved::{self, reserved_in},
};

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct MessagesTarget<'a> {
    /// The model's bare id at the upstream.
    pub model: &'a str,
    /// The most tokens that the model gives; the API wants a limit even where the caller names none.
    pub default_max_output: Option<u32>,
    /// The answer shall be streamed.
    pub stream: bool,
}

/// A request as it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The body.
    pub body: Value,
    /// Features in beta that the request uses: the header `anthropic-beta`.
    pub betas: Vec<String>,
    /// What is not honoured as asked.
    pub warnings: Vec<Warning>,
}

/// The output limit where neither the caller nor the catalogue names one: every model of Anthropic's
/// takes it (Claude 3, the oldest, gives no more; models overview, "max output").
const DEFAULT_MAX_OUTPUT: u32 = 4096;

/// The beta of files that are named by their id (Files API).
const FILES_BETA: &str = "files-api-2025-04-14";

/// Fields that extras may not set: they would get past permissions, prices and limits. `fallbacks`
/// chooses other models.
const RESERVED: [&str; 8] =
    ["model", "messages", "system", "stream", "max_tokens", "tools", "fallbacks", "fallback_model"];

/// Fields that buy something dearer, with the values that do not: the price list knows only those.
const ORDINARY: [(&str, &[&str]); 3] = [
    ("service_tier", &["auto", "standard_only"]),
    ("speed", &["standard"]),
    ("inference_geo", &["global"]),
];

/// Fields of a turn that its extras may not set: what a turn says has been measured.
const RESERVED_IN_TURNS: [&str; 2] = ["role", "content"];

/// The namespaced list of betas that a caller of another dialect asks for.
const BETAS: &str = "betas";

/// Writes the upstream's body, and tells what it leaves out.
///
/// # Errors
/// `unsupported` with the field that cannot be honoured, unless the request asks for a warning;
/// `invalid_request` when extras set a field that the proxy has to control.
pub fn encode_messages_call(
    request: &GenerateRequest,
    target: MessagesTarget<'_>,
) -> Result<Encoded> {
    check(request)?;
    let mut honoured = Honoured::of(request, NAMESPACE)?;
    let honour = &mut honoured;
    let own = request.extras.get(NAMESPACE);
    let usual = target.default_max_output.unwrap_or(DEFAULT_MAX_OUTPUT);
    let stated = request.sampling.max_output_tokens;
    let room = Room { model: target.model, stated };
    let thought = thinking::encode(request.reasoning.as_ref(), own, room, honour)?;
    let needed = thought.budget.map_or(usual, |budget| room_for(budget, target));
    let mut conversation = Conversation::of(&request.messages, honour)?;
    let mut body = object([
        ("model", Some(target.model.into())),
        ("max_tokens", Some(stated.unwrap_or(needed).into())),
        ("system", conversation.take_system()),
    ]);
    let uses_files = conversation.uses_files;
    body.insert("messages".to_owned(), conversation.into_messages().into());
    merge(&mut body, &tools::encode(request, honour)?);
    merge(&mut body, &sampling(&request.sampling, honour)?);
    merge(&mut body, &thought.fields);
    if let Some(format) = format(request.output.as_ref(), honour)? {
        merge(&mut body, &object([("output_config", Some(json!({"format": format})))]));
    }
    refuse_rest(request, honour)?;
    if target.stream {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
    let mut betas: Vec<String> = uses_files.then(|| FILES_BETA.to_owned()).into_iter().collect();
    add_extras(&mut body, own, &mut betas)?;
    Ok(Encoded { body: Value::Object(body), betas, warnings: honoured.into_warnings() })
}

/// A limit that leaves room for an answer after a budget to think.
fn room_for(budget: u32, target: MessagesTarget<'_>) -> u32 {
    target
        .default_max_output
        .filter(|most| *most > budget)
        .unwrap_or_else(|| budget.saturating_add(DEFAULT_MAX_OUTPUT))
}

fn sampling(sampling: &Sampling, honour: &mut Honoured) -> Result<Map<String, Value>> {
    let lacking = [
        ("min_p", sampling.min_p.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("frequency_penalty", sampling.frequency_penalty.is_some_and(|penalty| penalty != 0.0)),
        ("seed", sampling.seed.is_some()),
        ("logprobs", sampling.logprobs.is_some()),
    ];
    for (name, _) in lacking.into_iter().filter(|(_, asked)| *asked) {
        honour.cannot(format!("sampling.{name}"), format!("Anthropic does not offer {name}"))?;
    }
    let mut temperature = sampling.temperature;
    if temperature.is_some_and(|temperature| temperature > 1.0) {
        let message = "Anthropic takes a temperature between 0 and 1";
        honour.cannot("sampling.temperature", message)?;
        temperature = None;
    }
    let stop: Vec<Value> = sampling.stop.iter().map(|text| text.as_str().into()).collect();
    Ok(object([
        ("temperature", temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("top_k", sampling.top_k.map(Value::from)),
        ("stop_sequences", Some(stop).filter(|stop| !stop.is_empty()).map(Value::from)),
    ]))
}

/// A schema is always enforced, and has no name.
fn format(output: Option<&OutputFormat>, honour: &mut Honoured) -> Result<Option<Value>> {
    match output {
        None | Some(OutputFormat::Text) => Ok(None),
        Some(OutputFormat::JsonSchema { schema, .. }) => {
            Ok(Some(json!({"type": "json_schema", "schema": schema})))
        }
        Some(OutputFormat::Json) => {
            honour.cannot("output", "Anthropic gives JSON only by a schema")?;
            Ok(None)
        }
        Some(OutputFormat::Grammar { .. }) => {
            honour.cannot("output", "Anthropic does not take a grammar")?;
            Ok(None)
        }
    }
}

fn refuse_rest(request: &GenerateRequest, honour: &mut Honoured) -> Result<()> {
    if request.modalities.iter().any(|kind| *kind != Modality::Text) {
        honour.cannot("modalities", "Anthropic's models answer with text only")?;
    }
    if request.continues.is_some() {
        honour.cannot("continues", "Anthropic keeps no conversations")?;
    }
    if request.store == Some(true) {
        honour.cannot("store", "Anthropic keeps no answers")?;
    }
    if request.choices.is_some_and(|choices| choices != 1) {
        honour.cannot("choices", "Anthropic gives one answer to a request")?;
    }
    Ok(())
}

/// Refuses what would get past permissions, prices and limits.
pub(super) fn check(request: &GenerateRequest) -> Result<()> {
    let refuse = |param: String, message: String| Err(Error::invalid(param, message));
    for (at, turn) in request.messages.iter().enumerate() {
        let Some(extras) = turn.extras.get(NAMESPACE) else { continue };
        if let Some(key) = reserved_in(extras, &RESERVED_IN_TURNS) {
            let param = format!("messages[{at}].extras.{NAMESPACE}.{key}");
            return refuse(param, format!("{key} cannot be set through extras"));
        }
    }
    for (n, tool) in request.tools.iter().enumerate() {
        if let Tool::Hosted(hosted) = tool {
            tools::check_hosted(n, hosted)?;
        }
    }
    let Some(extras) = request.extras.get(NAMESPACE) else { return Ok(()) };
    if let Some(key) = reserved_in(extras, &RESERVED) {
        let param = format!("extras.{NAMESPACE}.{key}");
        return refuse(param, format!("{key} cannot be set through extras"));
    }
    for (key, ordinary) in ORDINARY {
        for (key, value) in reserved::field(extras, key) {
            if !value.is_null() && !value.as_str().is_some_and(|value| ordinary.contains(&value)) {
                let param = format!("extras.{NAMESPACE}.{key}");
                let instead = ordinary.join(" or ");
                return refuse(param, format!("{key} {value} has no price here, use {instead}"));
            }
        }
    }
    Ok(())
}

fn add_extras(
    body: &mut Map<String, Value>,
    own: Option<&Map<String, Value>>,
    betas: &mut Vec<String>,
) -> Result<()> {
    let Some(own) = own else { return Ok(()) };
    let mut own = own.clone();
    if let Some(named) = own.shift_remove(BETAS) {
        let param = format!("extras.{NAMESPACE}.{BETAS}");
        let wrong = || Error::invalid(param.clone(), format!("{param} must be a list of names"));
        for name in named.as_array().ok_or_else(wrong)? {
            betas.push(name.as_str().filter(|name| name.is_ascii()).ok_or_else(wrong)?.to_owned());
        }
    }
    merge(body, &own);
    Ok(())
}

/// A client's own body, changed only where it must be: the model's name and the output limit.
///
/// # Errors
/// As [`encode_messages_call`], for what the proxy has to control.
pub fn patch_messages(
    original: &Original,
    request: &GenerateRequest,
    target: MessagesTarget<'_>,
) -> Result<Vec<u8>> {
    check(request)?;
    let mut patch = Patch::of(&original.body)?;
    patch.set("model", &target.model.into());
    let stated = patch.get("max_tokens").filter(|text| *text != "null").is_some();
    let usual = target.default_max_output.unwrap_or(DEFAULT_MAX_OUTPUT);
    match request.sampling.max_output_tokens {
        Some(limit) => patch.set("max_tokens", &limit.into()),
        None if !stated => patch.set("max_tokens", &usual.into()),
        None => {}
    }
    Ok(patch.finish())
}
