//! Images and documents in Anthropic's blocks: `{"type": "image", "source": {...}}`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use tollgate_types::{Media, MediaSource, Result};

use super::NAMESPACE;
use crate::dialects::{fields::Fields, merge::merge};

const PDF: &str = "application/pdf";
const TEXT: &str = "text/plain";
/// The type of a file whose type only the provider knows.
const UNKNOWN: &str = "application/octet-stream";

/// Reads an image or a document; `None` for a source without common meaning, for example one made
/// of blocks.
pub(super) fn decode(kind: &str, mut fields: Fields) -> Result<Option<Media>> {
    let mut source = fields.required_object("source")?;
    let is_image = kind == "image";
    let word = source.required_string("type")?;
    let stated = source.string("media_type")?;
    let (media_type, source) = match word.as_str() {
        "base64" => {
            let usual = if is_image { "image/*" } else { PDF };
            let data = MediaSource::Base64(source.required_string("data")?);
            (stated.unwrap_or_else(|| usual.to_owned()), data)
        }
        "text" if !is_image => {
            let encoded = STANDARD.encode(source.required_string("data")?);
            (TEXT.to_owned(), MediaSource::Base64(encoded))
        }
        "url" => {
            let usual = if is_image { "image/*" } else { PDF };
            (usual.to_owned(), MediaSource::Url(source.required_string("url")?))
        }
        "file" => {
            let usual = if is_image { "image/*" } else { UNKNOWN };
            (usual.to_owned(), MediaSource::FileId(source.required_string("file_id")?))
        }
        _ => return Ok(None),
    };
    let filename = if is_image { None } else { fields.string("title")? };
    let extras = fields.into_extras(NAMESPACE);
    Ok(Some(Media { media_type, source, filename, transcript: None, extras }))
}

/// Writes an image or a document; `None` when the format has no place for it.
pub(super) fn encode(media: &Media) -> Option<Value> {
    let is_image = media.media_type.starts_with("image/");
    let source = match &media.source {
        MediaSource::Base64(data) if is_image || media.media_type == PDF => {
            json!({"type": "base64", "media_type": media.media_type, "data": data})
        }
        MediaSource::Base64(data) if media.media_type.starts_with("text/") => {
            let text = String::from_utf8(STANDARD.decode(data).ok()?).ok()?;
            json!({"type": "text", "media_type": TEXT, "data": text})
        }
        MediaSource::Url(url) if is_image || matches!(media.media_type.as_str(), PDF | UNKNOWN) => {
            json!({"type": "url", "url": url})
        }
        MediaSource::FileId(id) if !is_sound_or_film(&media.media_type) => {
            json!({"type": "file", "file_id": id})
        }
        _ => return None,
    };
    let mut block = Map::new();
    block.insert("type".to_owned(), if is_image { "image" } else { "document" }.into());
    block.insert("source".to_owned(), source);
    if let Some(name) = media.filename.as_deref().filter(|_| !is_image) {
        block.insert("title".to_owned(), name.into());
    }
    if let Some(own) = media.extras.get(NAMESPACE) {
        merge(&mut block, own);
    }
    Some(Value::Object(block))
}

fn is_sound_or_film(media_type: &str) -> bool {
    media_type.starts_with("audio/") || media_type.starts_with("video/")
}
