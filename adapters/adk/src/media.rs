//! Images, audio, video and files, both ways.

use crate::request::Refusal;
use adk_core::{EmbeddedResource, FileDataPart, InlineDataPart};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};
use tollgate_types::{Extras, Media, MediaSource, Part};

/// Where adk's own remarks about media travel; no provider reads them.
const ADK: &str = "adk";

/// Bytes of adk's as a part.
pub(crate) fn inline(media_type: &str, data: &[u8], said: &[(&str, Option<Value>)]) -> Part {
    part(media_type, MediaSource::Base64(BASE64_STANDARD.encode(data)), said)
}

/// An address of adk's as a part.
pub(crate) fn file(media_type: &str, uri: &str, said: &[(&str, Option<Value>)]) -> Part {
    part(media_type, MediaSource::Url(uri.to_owned()), said)
}

pub(crate) fn inline_of(part: &InlineDataPart) -> Part {
    let uri = part.uri.clone().map(Value::from);
    inline(&part.mime_type, &part.data, &[("uri", uri), ("annotations", part.annotations.clone())])
}

pub(crate) fn file_of(part: &FileDataPart) -> Part {
    file(&part.mime_type, &part.file_uri, &[("annotations", part.annotations.clone())])
}

/// A resource that a message embeds: text is text.
pub(crate) fn resource(resource: &EmbeddedResource) -> Result<Part, Refusal> {
    let json = serde_json::to_value(resource)
        .map_err(|error| Refusal::of("resource", error.to_string()))?;
    let field = |name: &str| json.get(name).and_then(Value::as_str);
    let uri = ("uri", field("uri").map(Value::from));
    match (field("text"), field("blob")) {
        (Some(text), _) => Ok(Part::text(text)),
        (None, Some(data)) => Ok(part(
            resource.mime_type().unwrap_or("application/octet-stream"),
            MediaSource::Base64(data.to_owned()),
            &[uri],
        )),
        (None, None) => Err(Refusal::of("resource", "has neither text nor bytes")),
    }
}

fn part(media_type: &str, source: MediaSource, said: &[(&str, Option<Value>)]) -> Part {
    let remarks: Map<String, Value> = said
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)))
        .collect();
    let extras = match remarks.is_empty() {
        true => Extras::new(),
        false => Extras::from([(ADK.to_owned(), remarks)]),
    };
    Part::Media(Media {
        media_type: media_type.to_owned(),
        source,
        filename: None,
        transcript: None,
        extras,
    })
}

/// A part as one of adk's; `None` for what adk has no form for.
pub(crate) fn shown(media: &Media) -> Option<adk_core::Part> {
    let mime_type = media.media_type.clone();
    match &media.source {
        MediaSource::Base64(data) => Some(adk_core::Part::InlineData {
            mime_type,
            data: BASE64_STANDARD.decode(data).ok()?,
            uri: None,
            annotations: None,
        }),
        MediaSource::Url(uri) => {
            Some(adk_core::Part::FileData { mime_type, file_uri: uri.clone(), annotations: None })
        }
        MediaSource::FileId(_) => None,
    }
}
