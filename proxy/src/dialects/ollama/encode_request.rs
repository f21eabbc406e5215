//! A chat request, written for an upstream.

use serde_json::{Map, Value};
use tollgate_types::{Error, GenerateRequest, Modality, Result, Warning};

use super::{
    NAMESPACE,
    encode_message::{check_turns, encode_messages},
    options, tools,
};
use crate::dialects::{
    honoured::Honoured,
    merge::{merge, object},
    reserved::as_go_reads,
};

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The model's bare name at the upstream.
    pub model: &'a str,
    /// The answer shall be streamed.
    pub stream: bool,
}

/// Fields that extras may not set: they would get past permissions, prices and limits.
const RESERVED: [&str; 11] = [
    "model", "messages", "stream", "tools", "prompt", "system", "images", "suffix", "template",
    "context", "raw",
];

/// Writes the upstream's body, and tells what it leaves out.
///
/// # Errors
/// `unsupported` with the field that cannot be honoured, unless the request asks for a warning;
/// `invalid_request` when extras set a field that the proxy has to control.
pub fn encode_chat(request: &GenerateRequest, target: Target<'_>) -> Result<(Value, Vec<Warning>)> {
    check(request)?;
    let mut honoured = Honoured::of(request, NAMESPACE)?;
    let honour = &mut honoured;
    let tools = tools::encode(request, honour)?;
    let mut body = object([
        ("model", Some(target.model.into())),
        ("messages", Some(encode_messages(&request.messages, honour)?.into())),
        ("tools", Some(tools).filter(|tools| !tools.is_empty()).map(Value::Array)),
        ("stream", Some(target.stream.into())),
    ]);
    finish(&mut body, request, honour)?;
    Ok((Value::Object(body), honoured.into_warnings()))
}

/// Adds to a body what chat and generate have in common, extras last.
pub(super) fn finish(
    body: &mut Map<String, Value>,
    request: &GenerateRequest,
    honour: &mut Honoured,
) -> Result<()> {
    merge(body, &options::encode(request, honour)?);
    refuse(request, honour)?;
    let Some(extras) = request.extras.get(NAMESPACE) else { return Ok(()) };
    merge(body, extras);
    // A client that set no limit does not lift one that a budget imposed.
    if let (Some(limit), Some(Value::Object(options))) =
        (request.sampling.max_output_tokens, body.get_mut("options"))
    {
        options.insert("num_predict".to_owned(), limit.into());
    }
    Ok(())
}

fn refuse(request: &GenerateRequest, honour: &mut Honoured) -> Result<()> {
    if request.continues.is_some() {
        honour.cannot("continues", "Ollama keeps no conversations")?;
    }
    if request.store == Some(true) {
        honour.cannot("store", "Ollama keeps no conversations")?;
    }
    if request.choices.is_some_and(|choices| choices != 1) {
        honour.cannot("choices", "Ollama gives one answer")?;
    }
    if request.modalities.iter().any(|kind| *kind != Modality::Text) {
        honour.cannot("modalities", "Ollama answers with text")?;
    }
    Ok(())
}

/// Refuses what would get past permissions, prices and limits.
pub(super) fn check(request: &GenerateRequest) -> Result<()> {
    check_turns(&request.messages)?;
    let Some(extras) = request.extras.get(NAMESPACE) else { return Ok(()) };
    let taken = extras.keys().find(|key| {
        let read = as_go_reads(key);
        RESERVED.contains(&read.as_str()) || (read == "options" && *key != "options")
    });
    let limit = extras.get("options").and_then(|options| options.get("num_predict"));
    // A negative limit is none, which is what a request without a limit asks for anyway.
    let limits = limit.is_some_and(|limit| limit.as_i64().is_none_or(|tokens| tokens >= 0));
    let taken = taken.cloned().or_else(|| limits.then(|| "options.num_predict".to_owned()));
    match taken {
        Some(key) => {
            let message = format!("{key} cannot be set through extras");
            Err(Error::invalid(format!("extras.{NAMESPACE}.{key}"), message))
        }
        None => Ok(()),
    }
}
