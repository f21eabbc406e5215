//! Images: base64 texts beside a message, whose type only their first bytes tell.

use serde_json::Value;
use tollgate_types::{Extras, Media, MediaSource, Part, Result};

use crate::dialects::{
    fields::{Fields, wrong_type},
    honoured::Honoured,
};

/// How the base64 text of an image begins.
const BEGINNINGS: [(&str, &str); 5] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("Qk", "image/bmp"),
];

/// Reads a list of images.
pub(super) fn decode(fields: &mut Fields, key: &str) -> Result<Vec<Part>> {
    let images = fields.list(key)?.unwrap_or_default();
    images
        .into_iter()
        .map(|(path, image)| match image {
            Value::String(encoded) => Ok(Part::Media(of_base64(encoded))),
            other => Err(wrong_type(&path, "a base64 string", &other)),
        })
        .collect()
}

/// An image by its bytes.
pub(super) fn of_base64(encoded: String) -> Media {
    let known = BEGINNINGS.iter().find(|(beginning, _)| encoded.starts_with(beginning));
    Media {
        media_type: known.map_or("image/*", |(_, media_type)| media_type).to_owned(),
        source: MediaSource::Base64(encoded),
        filename: None,
        transcript: None,
        extras: Extras::new(),
    }
}

/// The base64 text of an image; `None` for what is none, or is not here.
pub(super) fn base64_of(media: &Media) -> Option<&str> {
    match &media.source {
        MediaSource::Base64(encoded) if media.media_type.starts_with("image/") => Some(encoded),
        _ => None,
    }
}

/// Writes an image of a request.
pub(super) fn encode(media: &Media, place: &str, honour: &mut Honoured) -> Result<Option<Value>> {
    let image = base64_of(media);
    if image.is_none() {
        honour.cannot(
            place,
            match &media.source {
                MediaSource::Base64(_) => format!("Ollama does not take {}", media.media_type),
                MediaSource::Url(_) => "Ollama takes images by their bytes, not by URL".to_owned(),
                MediaSource::FileId(_) => "Ollama keeps no files".to_owned(),
            },
        )?;
    }
    Ok(image.map(Value::from))
}
