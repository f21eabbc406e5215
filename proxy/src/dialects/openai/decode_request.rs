//! A chat completions request, read.

use serde_json::Value;
use tollgate_types::{
    Error, GenerateRequest, Modality, OutputFormat, ReasoningOptions, Result, Sampling,
};

use super::{NAMESPACE, decode_message::decode_messages, legacy, tools};
use crate::dialects::fields::{Fields, wrong_type};

/// A request and how its answer shall come.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatCall {
    /// What is asked.
    pub request: GenerateRequest,
    /// The answer shall be streamed.
    pub stream: bool,
    /// The stream shall end with a usage chunk.
    pub include_usage: bool,
    /// The client knows functions alone, not the tools that have replaced them.
    pub legacy: bool,
}

/// The most choices that OpenAI gives (API reference, chat completions, `n`).
const MAX_CHOICES: u32 = 128;

/// Reads a chat completions request. Fields without common meaning are kept in
/// `request.extras["openai"]`.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub fn decode_chat(body: &[u8]) -> Result<ChatCall> {
    let mut fields = Fields::parse(body)?;
    let model = fields.required_string("model")?;
    let messages = decode_messages(&mut fields)?;
    let mut request = GenerateRequest::new(model, messages);
    request.tools = tools::decode(&mut fields)?;
    request.tool_choice = tools::decode_choice(&mut fields)?;
    request.parallel_tool_calls = fields.bool("parallel_tool_calls")?;
    let legacy = legacy::decode(&mut fields, &mut request)?;
    request.choices = choices(&mut fields)?;
    request.output = output(&mut fields)?;
    request.sampling = sampling(&mut fields)?;
    request.reasoning = fields
        .string("reasoning_effort")?
        .map(|effort| ReasoningOptions { effort: Some(effort), ..ReasoningOptions::default() });
    request.modalities = modalities(&mut fields)?;
    request.store = fields.bool("store")?;
    let stream = fields.bool("stream")?.unwrap_or_default();
    let include_usage = include_usage(&mut fields)?;
    request.extras = fields.into_extras(NAMESPACE);
    Ok(ChatCall { request, stream, include_usage, legacy })
}

fn choices(fields: &mut Fields) -> Result<Option<u32>> {
    match fields.u32("n")? {
        Some(n) if !(1..=MAX_CHOICES).contains(&n) => {
            Err(Error::invalid("n", format!("n must be between 1 and {MAX_CHOICES}, not {n}")))
        }
        n => Ok(n),
    }
}

fn include_usage(fields: &mut Fields) -> Result<bool> {
    let Some(mut options) = fields.object("stream_options")? else { return Ok(false) };
    let include = options.bool("include_usage")?.unwrap_or_default();
    let rest = options.rest();
    if !rest.is_empty() {
        fields.put_back("stream_options", Value::Object(rest));
    }
    Ok(include)
}

fn sampling(fields: &mut Fields) -> Result<Sampling> {
    Ok(Sampling {
        max_output_tokens: output_limit(fields)?,
        temperature: fields.f64("temperature")?,
        top_p: fields.f64("top_p")?,
        top_k: fields.u32("top_k")?,
        min_p: fields.f64("min_p")?,
        presence_penalty: fields.f64("presence_penalty")?,
        frequency_penalty: fields.f64("frequency_penalty")?,
        seed: fields.i64("seed")?,
        stop: stop(fields)?,
        logprobs: logprobs(fields)?,
    })
}

/// `max_completion_tokens`, or `max_tokens` of older clients. A client that sends both means the
/// smaller one: spending less than one of them allowed is the safe reading.
fn output_limit(fields: &mut Fields) -> Result<Option<u32>> {
    let new = fields.u32("max_completion_tokens")?;
    let old = fields.u32("max_tokens")?;
    Ok(new.into_iter().chain(old).min())
}

fn stop(fields: &mut Fields) -> Result<Vec<String>> {
    match fields.take("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(texts)) => texts
            .into_iter()
            .map(|text| match text {
                Value::String(text) => Ok(text),
                other => Err(wrong_type("stop", "a string or a list of strings", &other)),
            })
            .collect(),
        Some(other) => Err(wrong_type("stop", "a string or a list of strings", &other)),
    }
}

fn logprobs(fields: &mut Fields) -> Result<Option<u8>> {
    let wanted = fields.bool("logprobs")?.unwrap_or_default();
    let top = fields.u32("top_logprobs")?;
    let invalid = |message| Err(Error::invalid("top_logprobs", message));
    match (wanted, top) {
        (false, None | Some(0)) => Ok(None),
        (false, Some(_)) => invalid("top_logprobs needs logprobs to be true"),
        (true, top) => match u8::try_from(top.unwrap_or_default()) {
            Ok(top) => Ok(Some(top)),
            Err(_) => invalid("top_logprobs is too large"),
        },
    }
}

/// `modalities`; a list with a kind nobody knows stays where it is.
fn modalities(fields: &mut Fields) -> Result<Vec<Modality>> {
    let Some(list) = fields.list("modalities")? else { return Ok(Vec::new()) };
    let known = |(_, value): &(String, Value)| match value.as_str() {
        Some("text") => Some(Modality::Text),
        Some("image") => Some(Modality::Image),
        Some("audio") => Some(Modality::Audio),
        _ => None,
    };
    if let Some(all) = list.iter().map(known).collect() {
        return Ok(all);
    }
    let verbatim = list.into_iter().map(|(_, value)| value).collect();
    fields.put_back("modalities", Value::Array(verbatim));
    Ok(Vec::new())
}

/// `response_format`; a type without common meaning stays where it is, and so do further fields.
fn output(fields: &mut Fields) -> Result<Option<OutputFormat>> {
    let Some(mut format) = fields.object("response_format")? else { return Ok(None) };
    let kind = format.required_string("type")?;
    let output = match kind.as_str() {
        "text" => Some(OutputFormat::Text),
        "json_object" => Some(OutputFormat::Json),
        "json_schema" => {
            let mut schema = format.required_object("json_schema")?;
            let output = OutputFormat::JsonSchema {
                name: schema.required_string("name")?,
                schema: schema.take("schema").unwrap_or_default(),
                strict: schema.bool("strict")?.unwrap_or_default(),
            };
            let rest = schema.rest();
            if !rest.is_empty() {
                format.put_back("json_schema", Value::Object(rest));
            }
            Some(output)
        }
        _ => {
            format.put_back("type", kind.into());
            None
        }
    };
    let rest = format.rest();
    if !rest.is_empty() {
        fields.put_back("response_format", Value::Object(rest));
    }
    Ok(output)
}
