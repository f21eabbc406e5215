//! A generate request, written for an upstream: what a client asked that no chat can say.

use serde_json::{Map, Value};
use tollgate_types::{Error, ErrorKind, GenerateRequest, Message, Part, Result, Role, Warning};

use super::{
    GENERATE_API,
    encode_request::{Target, check, finish},
    images,
};
use crate::dialects::{
    honoured::Honoured,
    merge::{merge, object},
};

/// Whether a request holds something that only generate takes.
pub fn needs_generate(request: &GenerateRequest) -> bool {
    request.messages.iter().flat_map(|message| &message.content).any(is_of_generate)
}

fn is_of_generate(part: &Part) -> bool {
    matches!(part, Part::Native(native) if native.api == GENERATE_API)
}

/// Writes the upstream's body, and tells what it leaves out.
///
/// # Errors
/// As [`super::encode_chat`]; `unsupported` when the request is a conversation, too.
pub fn encode_generate(
    request: &GenerateRequest,
    target: Target<'_>,
) -> Result<(Value, Vec<Warning>)> {
    check(request)?;
    let mut honoured = Honoured::of(request, super::NAMESPACE)?;
    let honour = &mut honoured;
    if !request.tools.is_empty() {
        honour.cannot("tools", "generate takes no tools")?;
    }
    let mut body =
        object([("model", Some(target.model.into())), ("stream", Some(target.stream.into()))]);
    for (n, message) in request.messages.iter().enumerate() {
        add(&mut body, message, &format!("messages[{n}]"), honour)?;
    }
    finish(&mut body, request, honour)?;
    Ok((Value::Object(body), honoured.into_warnings()))
}

fn add(
    body: &mut Map<String, Value>,
    message: &Message,
    place: &str,
    honour: &mut Honoured,
) -> Result<()> {
    let (key, first) = match message.role {
        Role::System | Role::Developer => ("system", !body.contains_key("prompt")),
        Role::User => ("prompt", !body.contains_key("prompt")),
        Role::Assistant | Role::Tool => ("prompt", false),
    };
    if !first {
        let message = "generate takes one system and one user message";
        let error = Error::new(ErrorKind::Unsupported, message);
        return Err(error.with(|body| body.param = Some(place.to_owned())));
    }
    let mut text = String::new();
    let mut pictures = Vec::new();
    for part in &message.content {
        match part {
            Part::Text(said) => text.push_str(&said.text),
            Part::Media(media) => pictures.extend(images::encode(media, place, honour)?),
            Part::Native(native) if native.api == GENERATE_API => {
                if let Value::Object(fields) = &native.item {
                    add_native(body, fields, place)?;
                }
            }
            _ => honour.cannot(place, "generate takes text and images")?,
        }
    }
    body.insert(key.to_owned(), text.into());
    if !pictures.is_empty() {
        body.insert("images".to_owned(), Value::Array(pictures));
    }
    Ok(())
}

/// A native item adds what generate alone has, and nothing else.
fn add_native(body: &mut Map<String, Value>, item: &Map<String, Value>, place: &str) -> Result<()> {
    const OWN: [&str; 4] = ["raw", "template", "suffix", "context"];
    if let Some(key) = item.keys().find(|key| !OWN.contains(&key.as_str())) {
        return Err(Error::invalid(place, format!("{key} cannot be set through a native item")));
    }
    merge(body, item);
    Ok(())
}
