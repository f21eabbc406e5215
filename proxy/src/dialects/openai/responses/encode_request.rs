//! A request for a response, written for an upstream.

use serde_json::{Map, Value, json};
use tollgate_types::{
    Error, ErrorKind, GenerateRequest, Modality, Original, OutputFormat, ReasoningOptions, Result,
    Sampling, Tool, Warning,
};

use super::{
    super::{
        NAMESPACE as CHAT_NAMESPACE,
        encode_request::{check_tier, shared_extras},
    },
    API, NAMESPACE,
    decode_request::INCLUDE_LOGPROBS,
    encode_input::encode_messages,
    seal, tools,
};
use crate::dialects::{
    honoured::Honoured,
    merge::{merge, object},
    patch::Patch,
    reserved::{self, reserved_in},
};

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct ResponsesTarget<'a> {
    /// The model's bare id at the upstream.
    pub model: &'a str,
    /// The answer shall be streamed.
    pub stream: bool,
}

/// Fields that extras may not set: they would get past permissions, prices and limits. The last ones
/// choose other models (OpenRouter, LiteLLM), or buy what is priced apart.
const RESERVED: [&str; 14] = [
    "model",
    "input",
    "instructions",
    "previous_response_id",
    "stream",
    "n",
    "max_output_tokens",
    "max_tokens",
    "tools",
    "models",
    "route",
    "fallbacks",
    "preset",
    "plugins",
];

const ENCRYPTED: &str = "reasoning.encrypted_content";

/// Writes the upstream's body, and tells what it leaves out.
///
/// # Errors
/// `unsupported` with the field that cannot be honoured, unless the request asks for a warning;
/// `invalid_request` when extras set a field that the proxy has to control.
pub fn encode_responses(
    request: &GenerateRequest,
    target: ResponsesTarget<'_>,
) -> Result<(Value, Vec<Warning>)> {
    check_extras(request)?;
    let mut honoured = Honoured::of(request, NAMESPACE)?;
    let honour = &mut honoured;
    let stored = stored(request);
    let (instructions, input) = encode_messages(&request.messages, stored != Some(false), honour)?;
    let tools = tools::encode(&request.tools, honour)?;
    let choice = request.tool_choice.as_ref();
    let mut body = object([
        ("model", Some(target.model.into())),
        ("instructions", instructions.map(Value::from)),
        ("input", Some(input.into())),
        ("tools", Some(tools).filter(|tools| !tools.is_empty()).map(Value::from)),
        ("tool_choice", choice.map(|choice| tools::encode_choice(choice, &request.tools))),
        ("parallel_tool_calls", request.parallel_tool_calls.map(Value::Bool)),
        ("text", text(request.output.as_ref(), honour)?),
        ("reasoning", reasoning(request.reasoning.as_ref(), honour)?),
        ("store", stored.map(Value::Bool)),
        ("previous_response_id", previous(request).map(Value::from)),
        ("stream", target.stream.then_some(Value::Bool(true))),
    ]);
    merge(&mut body, &sampling(&request.sampling, honour)?);
    refuse(request, honour)?;
    for (key, value) in shared_extras(request, CHAT_NAMESPACE)? {
        body.entry(key).or_insert(value);
    }
    if let Some(extras) = request.extras.get(NAMESPACE) {
        merge(&mut body, extras);
    }
    include(&mut body, request);
    Ok((Value::Object(body), honoured.into_warnings()))
}

/// Whether the caller's own client speaks this API.
fn is_own(request: &GenerateRequest) -> bool {
    request.extras.contains_key(NAMESPACE)
        || request.options.original.as_deref().is_some_and(|original| original.api == API)
}

/// OpenAI keeps responses unless told otherwise. Callers of other formats did not ask for it, except
/// where they continue what is kept there.
fn stored(request: &GenerateRequest) -> Option<bool> {
    let asked = is_own(request) || request.continues.is_some();
    request.store.or_else(|| (!asked).then_some(false))
}

/// The answer that the request continues, unless it is a conversation or a prompt that it continues.
fn previous(request: &GenerateRequest) -> Option<&str> {
    let id = request.continues.as_deref()?;
    let own = request.extras.get(NAMESPACE);
    let names = |value: &Value| value == id || value.get("id").is_some_and(|own| own == id);
    let is_other = |key: &str| own.and_then(|own| own.get(key)).is_some_and(names);
    (!is_other("conversation") && !is_other("prompt")).then_some(id)
}

/// What the API has no place for.
fn refuse(request: &GenerateRequest, honour: &mut Honoured) -> Result<()> {
    let sampling = &request.sampling;
    for (param, asked) in [
        ("sampling.top_k", sampling.top_k.is_some()),
        ("sampling.min_p", sampling.min_p.is_some()),
        ("sampling.seed", sampling.seed.is_some()),
        ("sampling.stop", !sampling.stop.is_empty()),
    ] {
        if asked {
            honour.cannot(param, format!("the Responses API does not offer {param}"))?;
        }
    }
    if request.choices.is_some_and(|choices| choices != 1) {
        honour.cannot("choices", "the Responses API gives one answer to a request")?;
    }
    if request.modalities.iter().any(|kind| *kind != Modality::Text) {
        honour
            .cannot("modalities", "the Responses API answers with text; use its tools for more")?;
    }
    Ok(())
}

fn sampling(sampling: &Sampling, honour: &mut Honoured) -> Result<Map<String, Value>> {
    let top = sampling.logprobs;
    if top.is_some_and(|top| top > 20) {
        honour.cannot("sampling.logprobs", "the Responses API gives at most 20 alternatives")?;
    }
    Ok(object([
        ("max_output_tokens", sampling.max_output_tokens.map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("presence_penalty", sampling.presence_penalty.map(Value::from)),
        ("frequency_penalty", sampling.frequency_penalty.map(Value::from)),
        ("top_logprobs", top.filter(|top| (1..=20).contains(top)).map(Value::from)),
    ]))
}

fn text(output: Option<&OutputFormat>, honour: &mut Honoured) -> Result<Option<Value>> {
    let format = match output {
        None => return Ok(None),
        Some(OutputFormat::Text) => json!({"type": "text"}),
        Some(OutputFormat::Json) => json!({"type": "json_object"}),
        Some(OutputFormat::JsonSchema { name, schema, strict }) => {
            json!({"type": "json_schema", "name": name, "schema": schema, "strict": strict})
        }
        Some(OutputFormat::Grammar { .. }) => {
            honour.cannot("output", "the Responses API does not take a grammar")?;
            return Ok(None);
        }
    };
    Ok(Some(json!({"format": format})))
}

fn reasoning(options: Option<&ReasoningOptions>, honour: &mut Honoured) -> Result<Option<Value>> {
    let Some(options) = options else { return Ok(None) };
    if options.budget_tokens.is_some() {
        let message = "the Responses API takes an effort, not a budget of reasoning tokens";
        honour.cannot("reasoning.budget_tokens", message)?;
    }
    let written = object([
        ("effort", options.effort.as_deref().map(Value::from)),
        ("summary", options.include_text.filter(|wanted| *wanted).map(|_| "auto".into())),
    ]);
    Ok((!written.is_empty()).then_some(Value::Object(written)))
}

/// What shall come besides: log-probabilities, and, where nothing is stored for the next turn, the
/// encrypted reasoning. Models that do not reason refuse that, so reasoning must be asked for.
fn include(body: &mut Map<String, Value>, request: &GenerateRequest) {
    let mut wanted = Vec::new();
    if request.sampling.logprobs.is_some() {
        wanted.push(INCLUDE_LOGPROBS);
    }
    if !is_own(request) && request.reasoning.is_some() && stored(request) == Some(false) {
        wanted.push(ENCRYPTED);
    }
    if wanted.is_empty() {
        return;
    }
    let include = body.entry("include").or_insert_with(|| json!([]));
    if let Value::Array(list) = include {
        for word in wanted {
            if !list.iter().any(|have| have == word) {
                list.push(word.into());
            }
        }
    }
}

/// Refuses what would get past permissions, prices and limits.
fn check_extras(request: &GenerateRequest) -> Result<()> {
    for (n, tool) in request.tools.iter().enumerate() {
        if let Tool::Hosted(hosted) = tool {
            tools::check_hosted(n, hosted)?;
        }
    }
    let Some(extras) = request.extras.get(NAMESPACE) else { return Ok(()) };
    if let Some(key) = reserved_in(extras, &RESERVED) {
        let message = format!("{key} cannot be set through extras");
        return Err(Error::invalid(format!("extras.{NAMESPACE}.{key}"), message));
    }
    if reserved::field(extras, "background").any(|(_, value)| *value != Value::Bool(false)) {
        let message =
            "an answer in the background ends after the call, and nobody would be charged";
        return Err(Error::new(ErrorKind::Unsupported, message)
            .with(|body| body.param = Some("background".to_owned())));
    }
    check_tier(extras, NAMESPACE)
}

/// Whether a client's own body can be passed on: not if it holds what belongs to another vendor.
pub fn is_patchable(original: &Original) -> bool {
    !seal::is_in(&original.body)
}

/// A client's own body, changed only where it must be: the model's name and the output limit.
///
/// # Errors
/// As [`encode_responses`], for what the proxy has to control.
pub fn patch_responses(
    original: &Original,
    request: &GenerateRequest,
    target: ResponsesTarget<'_>,
) -> Result<Vec<u8>> {
    check_extras(request)?;
    let mut patch = Patch::of(&original.body)?;
    patch.set("model", &target.model.into());
    if let Some(limit) = request.sampling.max_output_tokens {
        patch.set("max_output_tokens", &limit.into());
    }
    Ok(patch.finish())
}
