//! A request for a response, read.

use serde_json::{Map, Value};
use tollgate_types::{Error, GenerateRequest, OutputFormat, ReasoningOptions, Result, Sampling};

use super::{NAMESPACE, decode_input::decode_messages, echo::Echo, tools};
use crate::dialects::fields::Fields;

/// What `include` names the log-probabilities.
pub(super) const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// A request and how its answer shall come.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponsesCall {
    /// What is asked.
    pub request: GenerateRequest,
    /// The answer shall be streamed.
    pub stream: bool,
    /// What the answer repeats of the request.
    pub echo: Echo,
}

/// Reads a request. Fields without common meaning are kept in
/// `request.extras["openai_responses"]`.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub fn decode_responses(body: &[u8]) -> Result<ResponsesCall> {
    let mut fields = Fields::parse(body)?;
    let echo = Echo::of(&fields);
    let model = fields.required_string("model")?;
    let continues = continues(&mut fields)?;
    let messages = decode_messages(&mut fields)?;
    if messages.is_empty() && continues.is_none() {
        return Err(fields.missing("input"));
    }
    let mut request = GenerateRequest::new(model, messages);
    request.continues = continues;
    request.tools = tools::decode(&mut fields)?;
    request.tool_choice = tools::decode_choice(&mut fields)?;
    request.parallel_tool_calls = fields.bool("parallel_tool_calls")?;
    request.output = output(&mut fields)?;
    request.sampling = sampling(&mut fields)?;
    request.reasoning = reasoning(&mut fields)?;
    request.store = store(&mut fields)?;
    let stream = fields.bool("stream")?.unwrap_or_default();
    request.extras = fields.into_extras(NAMESPACE);
    Ok(ResponsesCall { request, stream, echo })
}

/// What is kept at the provider: an answer, a conversation or a prompt. The last two also stay
/// where they are, so that they go back as what they were.
fn continues(fields: &mut Fields) -> Result<Option<String>> {
    let mut kept = fields.string("previous_response_id")?;
    for key in ["conversation", "prompt"] {
        let Some(value) = fields.take(key) else { continue };
        let id = value.as_str().or_else(|| value.get("id")?.as_str());
        let Some(id) = id.map(str::to_owned) else {
            let message = format!("{key} must have an id");
            return Err(Error::invalid(format!("{key}.id"), message));
        };
        fields.put_back(key, value);
        kept.get_or_insert(id);
    }
    Ok(kept)
}

/// A background answer is stored, whatever else is said.
fn store(fields: &mut Fields) -> Result<Option<bool>> {
    let background = fields.bool("background")?;
    if let Some(background) = background {
        fields.put_back("background", background.into());
    }
    let store = fields.bool("store")?;
    Ok(store.or_else(|| background.filter(|background| *background)))
}

fn sampling(fields: &mut Fields) -> Result<Sampling> {
    Ok(Sampling {
        max_output_tokens: fields.u32("max_output_tokens")?,
        temperature: fields.f64("temperature")?,
        top_p: fields.f64("top_p")?,
        presence_penalty: fields.f64("presence_penalty")?,
        frequency_penalty: fields.f64("frequency_penalty")?,
        logprobs: logprobs(fields)?,
        ..Sampling::default()
    })
}

/// Log-probabilities come only to those who ask for them in `include`.
fn logprobs(fields: &mut Fields) -> Result<Option<u8>> {
    let mut include = Vec::new();
    for (path, value) in fields.list("include")?.unwrap_or_default() {
        match value {
            Value::String(word) => include.push(word),
            _ => return Err(Error::invalid(path.clone(), format!("{path} must be a string"))),
        }
    }
    let asked = include.iter().any(|word| word == INCLUDE_LOGPROBS);
    include.retain(|word| word != INCLUDE_LOGPROBS);
    if !include.is_empty() {
        fields.put_back("include", include.into());
    }
    let top = fields.u32("top_logprobs")?;
    if !asked {
        if let Some(top) = top {
            fields.put_back("top_logprobs", top.into());
        }
        return Ok(None);
    }
    let too_many = |_| Error::invalid("top_logprobs", "top_logprobs is too large");
    u8::try_from(top.unwrap_or_default()).map(Some).map_err(too_many)
}

/// `reasoning`; the kind of summary stays where it is.
fn reasoning(fields: &mut Fields) -> Result<Option<ReasoningOptions>> {
    let Some(mut options) = fields.object("reasoning")? else { return Ok(None) };
    let effort = options.string("effort")?;
    let wants_text = options.has("summary") || options.has("generate_summary");
    keep_rest(fields, "reasoning", options);
    let include_text = wants_text.then_some(true);
    let read = ReasoningOptions { effort, budget_tokens: None, include_text };
    Ok((read != ReasoningOptions::default()).then_some(read))
}

/// `text.format`; a type without common meaning stays where it is, and so do further fields.
fn output(fields: &mut Fields) -> Result<Option<OutputFormat>> {
    let Some(mut text) = fields.object("text")? else { return Ok(None) };
    let mut output = None;
    if let Some(mut format) = text.object("format")? {
        let kind = format.required_string("type")?;
        output = match kind.as_str() {
            "text" => Some(OutputFormat::Text),
            "json_object" => Some(OutputFormat::Json),
            "json_schema" => Some(OutputFormat::JsonSchema {
                name: format.required_string("name")?,
                schema: format.take("schema").unwrap_or_default(),
                strict: format.bool("strict")?.unwrap_or_default(),
            }),
            _ => {
                format.put_back("type", kind.into());
                None
            }
        };
        keep_rest(&mut text, "format", format);
    }
    keep_rest(fields, "text", text);
    Ok(output)
}

/// Puts back what nobody took of an inner object.
fn keep_rest(fields: &mut Fields, key: &str, inner: Fields) {
    let rest: Map<String, Value> =
        inner.rest().into_iter().filter(|(_, value)| !value.is_null()).collect();
    if !rest.is_empty() {
        fields.put_back(key, Value::Object(rest));
    }
}
