//! A messages request, read.

use serde_json::Value;
use tollgate_types::{Error, ErrorKind, GenerateRequest, OutputFormat, Result, Sampling};

use super::{
    NAMESPACE, decode_message::decode_messages, encode_error::NO_THREADS, thinking, tools,
};
use crate::dialects::fields::{Fields, wrong_type};

/// A request and how its answer shall come.
#[derive(Clone, Debug, PartialEq)]
pub struct MessagesCall {
    /// What is asked.
    pub request: GenerateRequest,
    /// The answer shall be streamed.
    pub stream: bool,
}

/// What Anthropic's schemas are called in the common vocabulary: Anthropic gives them no name.
const SCHEMA_NAME: &str = "output";

/// Reads a messages request. Fields without common meaning are kept in
/// `request.extras["anthropic"]`.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub fn decode_messages_call(body: &[u8]) -> Result<MessagesCall> {
    let mut fields = Fields::parse(body)?;
    let stream = fields.bool("stream")?.unwrap_or_default();
    refuse_thread(&mut fields)?;
    Ok(MessagesCall { request: decode(fields)?, stream })
}

/// Of a conversation that Anthropic keeps only the new turns are sent: no other provider could
/// answer them, and what the kept ones cost would not be known before. The SDKs send the whole
/// conversation when they are told so in this way.
fn refuse_thread(fields: &mut Fields) -> Result<()> {
    if fields.take("thread").is_none_or(|thread| thread.is_null()) {
        return Ok(());
    }
    let message = "conversations are not kept here: send all of it, without thread";
    Err(Error::new(ErrorKind::InvalidRequest, message).with(|body| {
        body.code = Some(NO_THREADS.to_owned());
        body.param = Some("thread".to_owned());
    }))
}

/// Reads what is common to requests for answers and for counts.
pub(super) fn decode(mut fields: Fields) -> Result<GenerateRequest> {
    let model = fields.required_string("model")?;
    let messages = decode_messages(&mut fields)?;
    let mut request = GenerateRequest::new(model, messages);
    request.tools = tools::decode(&mut fields)?;
    (request.tool_choice, request.parallel_tool_calls) = tools::decode_choice(&mut fields)?;
    request.sampling = sampling(&mut fields)?;
    request.output = output(&mut fields)?;
    request.reasoning = thinking::decode(&mut fields)?;
    drop_if_empty(&mut fields, "output_config");
    request.extras = fields.into_extras(NAMESPACE);
    Ok(request)
}

/// Of an object whose fields have all been taken nothing is left to keep.
fn drop_if_empty(fields: &mut Fields, key: &str) {
    match fields.take(key) {
        None => {}
        Some(Value::Object(rest)) if rest.is_empty() => {}
        Some(rest) => fields.put_back(key, rest),
    }
}

fn sampling(fields: &mut Fields) -> Result<Sampling> {
    Ok(Sampling {
        max_output_tokens: fields.u32("max_tokens")?,
        temperature: fields.f64("temperature")?,
        top_p: fields.f64("top_p")?,
        top_k: fields.u32("top_k")?,
        stop: stop(fields)?,
        ..Sampling::default()
    })
}

fn stop(fields: &mut Fields) -> Result<Vec<String>> {
    let texts = fields.list("stop_sequences")?.unwrap_or_default();
    let text = |(path, text): (String, Value)| match text {
        Value::String(text) => Ok(text),
        other => Err(wrong_type(&path, "a string", &other)),
    };
    texts.into_iter().map(text).collect()
}

/// `output_config.format`, or `output_format` of clients from the time of its beta.
fn output(fields: &mut Fields) -> Result<Option<OutputFormat>> {
    let mut config = fields.object("output_config")?;
    let format = match &mut config {
        Some(config) => config.object("format")?,
        None => None,
    };
    let older = format.is_none();
    let format = if older { fields.object("output_format")? } else { format };
    let read = match format {
        None => None,
        Some(mut format) => {
            let kind = format.required_string("type")?;
            let schema = format.take("schema").filter(|_| kind == "json_schema");
            let rest = format.rest();
            match schema {
                Some(schema) if rest.is_empty() => {
                    let name = SCHEMA_NAME.to_owned();
                    Some(OutputFormat::JsonSchema { name, schema, strict: true })
                }
                schema => {
                    let mut verbatim = rest;
                    verbatim.insert("type".to_owned(), kind.into());
                    verbatim.extend(schema.map(|schema| ("schema".to_owned(), schema)));
                    match config.as_mut().filter(|_| !older) {
                        Some(config) => config.put_back("format", Value::Object(verbatim)),
                        None => fields.put_back("output_format", Value::Object(verbatim)),
                    }
                    None
                }
            }
        }
    };
    if let Some(config) = config {
        fields.put_back("output_config", Value::Object(config.rest()));
    }
    Ok(read)
}
