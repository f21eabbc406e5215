//! A chat completions request, written for an upstream.

use serde_json::{Map, Value, json};
use tollgate_types::{
    Error, GenerateRequest, Message, Modality, Original, OutputFormat, ReasoningOptions, Result,
    Sampling, Warning,
};

use super::{NAMESPACE, encode_message::encode_messages, responses, tools};
use crate::dialects::{
    call_id::IdRule,
    honoured::Honoured,
    merge::{merge, object},
    patch::Patch,
    reserved::{self, reserved_in},
};

/// Whose chat completions these are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Host {
    /// OpenAI itself (or Azure): refuses fields that it does not know, limits output by
    /// `max_completion_tokens`.
    #[default]
    OpenAi,
    /// vLLM, DeepSeek, Mistral, Groq, llama.cpp ...: limit output by `max_tokens` (DeepSeek ignores
    /// the newer name, which would void the limit), take `top_k` and `min_p`.
    Compatible,
    /// Mistral's own platform: as [`Host::Compatible`], with ids of tool calls of its own kind.
    Mistral,
}

impl Host {
    /// Whose chat completions a host's name stands for.
    pub fn of(host: &str) -> Self {
        if host.ends_with(".openai.com") || host.ends_with(".azure.com") {
            Self::OpenAi
        } else if host.ends_with(".mistral.ai") {
            Self::Mistral
        } else {
            Self::Compatible
        }
    }

    /// What the host accepts as id of a tool call.
    pub(super) fn id_rule(self) -> IdRule {
        match self {
            Self::OpenAi => IdRule::OpenAiChat,
            Self::Compatible => IdRule::Any,
            Self::Mistral => IdRule::Mistral,
        }
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct ChatTarget<'a> {
    /// The model's bare id at the upstream.
    pub model: &'a str,
    /// Whose chat completions these are.
    pub host: Host,
    /// The answer shall be streamed.
    pub stream: bool,
}

/// Fields that extras may not set: they would get past permissions, prices and limits. Those after
/// `function_call` are limits and counts of single hosts (llama.cpp, text-generation-inference), or
/// choose other models (OpenRouter, LiteLLM), or buy what is priced apart.
const RESERVED: [&str; 23] = [
    "model",
    "messages",
    "stream",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "n_predict",
    "n_cmpl",
    "max_new_tokens",
    "max_output_tokens",
    "fallbacks",
    "preset",
    "plugins",
    "search_parameters",
    "models",
    "route",
    "best_of",
    "prediction",
    "web_search_options",
];

/// Tiers that cost no more than the list price; "priority" costs more than any price knows.
const ORDINARY_TIERS: [&str; 3] = ["auto", "default", "flex"];

/// Writes the upstream's body, and tells what it leaves out. Streams always report usage.
///
/// # Errors
/// `unsupported` with the field that cannot be honoured, unless the request asks for a warning;
/// `invalid_request` when extras set a field that the proxy has to control.
pub fn encode_chat(
    request: &GenerateRequest,
    target: ChatTarget<'_>,
) -> Result<(Value, Vec<Warning>)> {
    check_turns(&request.messages)?;
    let mut honoured = Honoured::of(request, NAMESPACE)?;
    let honour = &mut honoured;
    let mut body = object([
        ("model", Some(target.model.into())),
        ("messages", Some(encode_messages(&request.messages, target.host, honour)?.into())),
    ]);
    let written = tools::encode(&request.tools, honour)?;
    let choice = request.tool_choice.as_ref();
    let modalities: Vec<_> = request.modalities.iter().map(|kind| modality(*kind)).collect();
    merge(
        &mut body,
        &object([
            ("tools", some_list(written)),
            ("tool_choice", choice.map(|choice| tools::encode_choice(choice, &request.tools))),
            ("parallel_tool_calls", request.parallel_tool_calls.map(Value::Bool)),
            ("modalities", some_list(modalities)),
            ("store", request.store.map(Value::Bool)),
            ("stream", target.stream.then_some(Value::Bool(true))),
            ("stream_options", target.stream.then(|| json!({"include_usage": true}))),
        ]),
    );
    merge(&mut body, &sampling(&request.sampling, target.host, honour)?);
    if let Some(format) = response_format(request.output.as_ref(), honour)? {
        body.insert("response_format".to_owned(), format);
    }
    if let Some(effort) = reasoning(request.reasoning.as_ref(), target.host, honour)? {
        body.insert("reasoning_effort".to_owned(), effort);
    }
    if request.continues.is_some() {
        honour.cannot("continues", "chat completions cannot continue a stored conversation")?;
    }
    if request.choices.is_some_and(|choices| choices != 1) {
        honour.cannot("choices", "several answers reach only a caller of the same wire format")?;
    }
    check_extras(request)?;
    if target.host == Host::OpenAi {
        merge(&mut body, &shared_extras(request, responses::NAMESPACE)?);
    }
    add_extras(&mut body, request);
    Ok((Value::Object(body), honoured.into_warnings()))
}

fn some_list(list: Vec<Value>) -> Option<Value> {
    (!list.is_empty()).then_some(Value::Array(list))
}

fn modality(kind: Modality) -> Value {
    match kind {
        Modality::Text => "text".into(),
        Modality::Image => "image".into(),
        Modality::Audio => "audio".into(),
    }
}

fn sampling(sampling: &Sampling, host: Host, honour: &mut Honoured) -> Result<Map<String, Value>> {
    let (limit, extended) = match host {
        Host::OpenAi => ("max_completion_tokens", false),
        Host::Compatible | Host::Mistral => ("max_tokens", true),
    };
    if !extended && sampling.top_k.is_some() {
        honour.cannot("sampling.top_k", "OpenAI does not offer top_k")?;
    }
    if !extended && sampling.min_p.is_some() {
        honour.cannot("sampling.min_p", "OpenAI does not offer min_p")?;
    }
    let stop = sampling.stop.iter().map(|text| text.as_str().into()).collect();
    Ok(object([
        (limit, sampling.max_output_tokens.map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("top_k", sampling.top_k.filter(|_| extended).map(Value::from)),
        ("min_p", sampling.min_p.filter(|_| extended).map(Value::from)),
        ("presence_penalty", sampling.presence_penalty.map(Value::from)),
        ("frequency_penalty", sampling.frequency_penalty.map(Value::from)),
        ("seed", sampling.seed.map(Value::from)),
        ("stop", some_list(stop)),
        ("logprobs", sampling.logprobs.map(|_| Value::Bool(true))),
        ("top_logprobs", sampling.logprobs.filter(|top| *top > 0).map(Value::from)),
    ]))
}

fn response_format(output: Option<&OutputFormat>, honour: &mut Honoured) -> Result<Option<Value>> {
    Ok(match output {
        None => None,
        Some(OutputFormat::Text) => Some(json!({"type": "text"})),
        Some(OutputFormat::Json) => Some(json!({"type": "json_object"})),
        Some(OutputFormat::JsonSchema { name, schema, strict }) => {
            let schema = json!({"name": name, "schema": schema, "strict": strict});
            Some(json!({"type": "json_schema", "json_schema": schema}))
        }
        Some(OutputFormat::Grammar { .. }) => {
            honour.cannot("output", "chat completions do not take a grammar")?;
            None
        }
    })
}

fn reasoning(
    options: Option<&ReasoningOptions>,
    host: Host,
    honour: &mut Honoured,
) -> Result<Option<Value>> {
    let Some(options) = options else { return Ok(None) };
    if options.budget_tokens.is_some() {
        let message = "chat completions take an effort, not a budget of reasoning tokens";
        honour.cannot("reasoning.budget_tokens", message)?;
    }
    if host == Host::OpenAi && options.include_text == Some(true) {
        let message = "OpenAI does not show reasoning in chat completions";
        honour.cannot("reasoning.include_text", message)?;
    }
    Ok(options.effort.as_deref().map(Value::from))
}

/// Fields of a turn that its extras may not set: what a turn says has been measured.
const RESERVED_IN_TURNS: [&str; 4] = ["role", "content", "tool_calls", "tool_call_id"];

fn check_turns(turns: &[Message]) -> Result<()> {
    for (at, turn) in turns.iter().enumerate() {
        let Some(extras) = turn.extras.get(NAMESPACE) else { continue };
        if let Some(key) = reserved_in(extras, &RESERVED_IN_TURNS) {
            let message = format!("{key} cannot be set through extras");
            let param = format!("messages[{at}].extras.{NAMESPACE}.{key}");
            return Err(Error::invalid(param, message));
        }
    }
    Ok(())
}

/// Refuses what would get past permissions, prices and limits.
fn check_extras(request: &GenerateRequest) -> Result<()> {
    let Some(extras) = request.extras.get(NAMESPACE) else { return Ok(()) };
    if let Some(key) = reserved_in(extras, &RESERVED) {
        let message = format!("{key} cannot be set through extras");
        return Err(Error::invalid(format!("extras.{NAMESPACE}.{key}"), message));
    }
    check_tier(extras, NAMESPACE)
}

/// Refuses a tier that costs more than any price knows.
pub(super) fn check_tier(extras: &Map<String, Value>, namespace: &str) -> Result<()> {
    for (key, tier) in reserved::field(extras, "service_tier") {
        if !tier.is_null() && !tier.as_str().is_some_and(|tier| ORDINARY_TIERS.contains(&tier)) {
            let message =
                format!("service_tier {tier} has no price here, use auto, default or flex");
            return Err(Error::invalid(format!("extras.{namespace}.{key}"), message));
        }
    }
    Ok(())
}

/// Fields that chat completions and responses have in common, and that mean the same in both.
const SHARED: [&str; 6] = [
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "user",
];

/// What a client of OpenAI's other API said in fields that both have.
pub(super) fn shared_extras(
    request: &GenerateRequest,
    namespace: &str,
) -> Result<Map<String, Value>> {
    let Some(extras) = request.extras.get(namespace) else { return Ok(Map::new()) };
    let shared = |key: &str| Some((key.to_owned(), extras.get(key)?.clone()));
    let shared = SHARED.into_iter().filter_map(shared).collect();
    check_tier(&shared, namespace)?;
    Ok(shared)
}

fn add_extras(body: &mut Map<String, Value>, request: &GenerateRequest) {
    let Some(extras) = request.extras.get(NAMESPACE) else { return };
    merge(body, extras);
    if let Some(Value::Object(options)) = body.get_mut("stream_options") {
        // Without the usage chunk there would be no bill.
        options.insert("include_usage".to_owned(), Value::Bool(true));
    }
}

/// A client's own body, changed only where it must be: the model's name, the output limit and the
/// usage of a stream.
///
/// # Errors
/// As [`encode_chat`], for what the proxy has to control.
pub fn patch_chat(
    original: &Original,
    request: &GenerateRequest,
    target: ChatTarget<'_>,
) -> Result<Vec<u8>> {
    check_turns(&request.messages)?;
    check_extras(request)?;
    let mut patch = Patch::of(&original.body)?;
    patch.set("model", &target.model.into());
    if let Some(limit) = request.sampling.max_output_tokens {
        patch_limit(&mut patch, limit, target.host);
    }
    if original.streamed {
        let options = patch.get("stream_options").and_then(|text| serde_json::from_str(text).ok());
        let mut options: Map<String, Value> = options.unwrap_or_default();
        options.insert("include_usage".to_owned(), Value::Bool(true));
        patch.set("stream_options", &Value::Object(options));
    }
    Ok(patch.finish())
}

/// The limit under the name that the host heeds; a client may have written one, the other or both.
fn patch_limit(patch: &mut Patch<'_>, limit: u32, host: Host) {
    let (heeded, other) = match host {
        Host::OpenAi => ("max_completion_tokens", "max_tokens"),
        Host::Compatible | Host::Mistral => ("max_tokens", "max_completion_tokens"),
    };
    let stated = |patch: &Patch<'_>, key| patch.get(key).is_some_and(|text| text != "null");
    match (stated(patch, heeded), stated(patch, other)) {
        (true, true) => {
            patch.set(heeded, &limit.into());
            patch.set(other, &limit.into());
        }
        // OpenAI's older models know only the older name, and heed it.
        (false, true) if host == Host::OpenAi => patch.set(other, &limit.into()),
        (false, true) if patch.get(heeded).is_none() => {
            patch.set(other, &limit.into());
            patch.rename(other, heeded);
        }
        _ => patch.set(heeded, &limit.into()),
    }
}
