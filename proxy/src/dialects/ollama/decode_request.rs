//! A chat or generate request, read.

use serde_json::{Map, Value};
use tollgate_types::{GenerateRequest, Message, NativeItem, Part, Result, Role};

use super::{GENERATE_API, NAMESPACE, decode_message::decode_messages, images, options, tools};
use crate::dialects::fields::Fields;

/// A request and how its answer shall come.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What is asked.
    pub request: GenerateRequest,
    /// The answer shall be streamed: it is unless the client says otherwise.
    pub stream: bool,
}

/// Reads a chat request. Fields without common meaning are kept in `request.extras["ollama"]`.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub fn decode_chat(body: &[u8]) -> Result<Asked> {
    let mut fields = Fields::parse(body)?;
    let model = model(&mut fields)?;
    let messages = decode_messages(&mut fields)?;
    let mut request = GenerateRequest::new(model, messages);
    request.tools = tools::decode(&mut fields)?;
    finish(fields, request)
}

/// Reads a generate request: a chat of one message. What no chat has (`raw`, `template`, `suffix`,
/// `context`) is a native item of that message, so that only Ollama's own generate takes it.
///
/// # Errors
/// As [`decode_chat`].
pub fn decode_generate(body: &[u8]) -> Result<Asked> {
    let mut fields = Fields::parse(body)?;
    let model = model(&mut fields)?;
    let mut messages = Vec::new();
    if let Some(system) = fields.string("system")?.filter(|text| !text.is_empty()) {
        messages.push(Message::system(system));
    }
    let mut content = Vec::new();
    if let Some(item) = beyond_chat(&mut fields)? {
        content.push(Part::Native(NativeItem { api: GENERATE_API.to_owned(), item }));
    }
    content.extend(images::decode(&mut fields, "images")?);
    if let Some(prompt) = fields.string("prompt")?.filter(|text| !text.is_empty()) {
        content.push(Part::text(prompt));
    }
    // Without a prompt the model is only loaded.
    if !content.is_empty() {
        messages.push(Message::new(Role::User, content));
    }
    finish(fields, GenerateRequest::new(model, messages))
}

fn model(fields: &mut Fields) -> Result<String> {
    let model = fields.string("model")?.filter(|model| !model.is_empty());
    model.ok_or_else(|| fields.missing("model"))
}

fn finish(mut fields: Fields, mut request: GenerateRequest) -> Result<Asked> {
    options::decode(&mut fields, &mut request)?;
    let stream = fields.bool("stream")?.unwrap_or(true);
    request.extras = fields.into_extras(NAMESPACE);
    Ok(Asked { request, stream })
}

/// The fields of generate that no chat has; clients write empty ones too, which mean nothing.
fn beyond_chat(fields: &mut Fields) -> Result<Option<Value>> {
    let mut item = Map::new();
    if fields.bool("raw")? == Some(true) {
        item.insert("raw".to_owned(), Value::Bool(true));
    }
    for key in ["template", "suffix"] {
        if let Some(text) = fields.string(key)?.filter(|text| !text.is_empty()) {
            item.insert(key.to_owned(), text.into());
        }
    }
    if let Some(context) = fields.list("context")?.filter(|context| !context.is_empty()) {
        let tokens = context.into_iter().map(|(_, token)| token).collect();
        item.insert("context".to_owned(), Value::Array(tokens));
    }
    Ok((!item.is_empty()).then_some(Value::Object(item)))
}
