//! Items of an answer, which a client sends back in its next request: one reading and one writing
//! for both ways.

use serde_json::{Map, Value};
use tollgate_types::{Extras, Media, MediaSource, NativeItem, Part, Result, ToolCall};

use super::{
    super::{custom, tools::arguments},
    API, ITEM, NAMESPACE,
    content::{self, fill},
    extras_of,
    reasoning::{self, Shown},
};
use crate::dialects::{
    call_id::{self, IdRule},
    fields::Fields,
    merge::object,
};

/// The item that a custom tool's call is.
pub(super) const CUSTOM_CALL: &str = "custom_tool_call";
const IMAGE_CALL: &str = "image_generation_call";

/// Reads an item that a model made.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub(super) fn decode(path: String, item: Value, shown: Shown) -> Result<Vec<Part>> {
    let mut fields = Fields::of(path, item.clone())?;
    let kind = fields.string("type")?.unwrap_or_else(|| "message".to_owned());
    Ok(match kind.as_str() {
        "message" => message(fields)?,
        "reasoning" => vec![reasoning::decode(fields, shown)?],
        "function_call" | CUSTOM_CALL => vec![call(fields, &kind)?],
        IMAGE_CALL if item.get("result").is_some_and(Value::is_string) => {
            vec![image(fields)?]
        }
        _ => vec![native(item)],
    })
}

/// An item verbatim.
pub(super) fn native(item: Value) -> Part {
    Part::Native(NativeItem { api: API.to_owned(), item })
}

/// The facts of a message item that its parts carry.
pub(super) fn message_facts(item: &Map<String, Value>) -> Map<String, Value> {
    let mut facts = item.clone();
    facts.retain(|key, value| {
        !matches!(key.as_str(), "type" | "role" | "content") && !value.is_null()
    });
    facts
}

/// Puts the facts of a message item on one of its parts.
pub(super) fn put_facts(part: &mut Part, facts: &Map<String, Value>) {
    if let (Some(extras), false) = (part.extras_mut(), facts.is_empty()) {
        let own = extras.entry(NAMESPACE.to_owned()).or_default();
        own.insert(ITEM.to_owned(), Value::Object(facts.clone()));
    }
}

/// The facts of the message item that a part comes from.
pub(super) fn facts_of(part: &Part) -> Map<String, Value> {
    let extras = match part {
        Part::Text(text) => &text.extras,
        Part::Refusal(refusal) => &refusal.extras,
        _ => return Map::new(),
    };
    let facts = extras.get(NAMESPACE).and_then(|own| own.get(ITEM)).and_then(Value::as_object);
    facts.cloned().unwrap_or_default()
}

fn message(mut fields: Fields) -> Result<Vec<Part>> {
    fields.take("role");
    let path = fields.path_of("content");
    let said = fields.take("content").ok_or_else(|| fields.missing("content"))?;
    let mut parts = content::decode(&path, said)?;
    let facts = message_facts(&fields.rest());
    parts.iter_mut().for_each(|part| put_facts(part, &facts));
    Ok(parts)
}

fn call(mut fields: Fields, kind: &str) -> Result<Part> {
    let id = match fields.string("call_id")? {
        Some(id) => id,
        None => fields.string("id")?.ok_or_else(|| fields.missing("call_id"))?,
    };
    let name = fields.required_string("name")?;
    let written = if kind == CUSTOM_CALL {
        fields.put_back("type", kind.into());
        fields.string("input")?.unwrap_or_default()
    } else {
        arguments(fields.take("arguments").as_ref())
    };
    let mut own = fields.rest();
    own.retain(|_, value| !value.is_null());
    let extras = extras_of(own);
    Ok(Part::ToolCall(ToolCall { id, name, arguments: written, hosted: false, extras }))
}

fn image(mut fields: Fields) -> Result<Part> {
    let result = fields.required_string("result")?;
    let source = match result.starts_with("http") {
        true => MediaSource::Url(result),
        false => MediaSource::Base64(result),
    };
    fields.put_back("type", IMAGE_CALL.into());
    let own = fields.rest();
    let format = own.get("output_format").and_then(Value::as_str).unwrap_or("png");
    Ok(Part::Media(Media {
        media_type: format!("image/{format}"),
        source,
        filename: None,
        transcript: None,
        extras: extras_of(own),
    }))
}

/// Writes a call.
pub(super) fn encode_call(call: &ToolCall, ids: IdRule) -> Map<String, Value> {
    let custom = custom::is_call(call);
    let (kind, key) = if custom { (CUSTOM_CALL, "input") } else { ("function_call", "arguments") };
    object([
        ("type", Some(kind.into())),
        ("call_id", Some(call_id::fit(&call.id, ids).into())),
        ("name", Some(call.name.as_str().into())),
        (key, Some(call.arguments.as_str().into())),
    ])
}

/// Writes an image of an answer as the item of the tool that made it; `None` for other media.
pub(super) fn encode_image(media: &Media) -> Option<Map<String, Value>> {
    let result = match &media.source {
        MediaSource::Base64(data) | MediaSource::Url(data) => data,
        MediaSource::FileId(_) => return None,
    };
    let format = media.media_type.strip_prefix("image/")?;
    let format = Some(format).filter(|format| *format != "*");
    let mut item = object([
        ("type", Some(IMAGE_CALL.into())),
        ("status", Some("completed".into())),
        ("result", Some(result.as_str().into())),
    ]);
    if media.extras.contains_key(NAMESPACE) {
        item.shift_remove("status");
        fill(&mut item, &media.extras);
    } else if let Some(format) = format {
        item.insert("output_format".to_owned(), format.into());
    }
    Some(item)
}

/// Whether the image is one that the same API's tool made.
pub(super) fn is_own_image(extras: &Extras) -> bool {
    extras.get(NAMESPACE).and_then(|own| own.get("type")).is_some_and(|kind| kind == IMAGE_CALL)
}
