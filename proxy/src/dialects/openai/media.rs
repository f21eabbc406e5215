//! Images, audio and files in OpenAI's shapes, and the data URLs they travel in.

use serde_json::{Map, Value, json};
use tollgate_types::{Extras, Media, MediaSource, Part, Result};

use super::{NAMESPACE, responses};
use crate::dialects::{data_url, fields::Fields};

/// Reads `{"url": "https://..." | "data:image/png;base64,...", "detail": "low"}`.
pub(super) fn decode_image(mut fields: Fields) -> Result<Part> {
    let url = fields.required_string("url")?;
    Ok(Part::Media(image(&url, fields.into_extras(NAMESPACE))))
}

/// An image by its URL; the type of one that the provider has to fetch is not known.
pub(super) fn image(url: &str, extras: Extras) -> Media {
    let (media_type, source) = data_url::read(url, "image/*");
    Media { media_type, source, filename: None, transcript: None, extras }
}

/// Reads `{"data": "<base64>", "format": "wav"}`.
pub(super) fn decode_audio(mut fields: Fields) -> Result<Part> {
    let source = MediaSource::Base64(fields.required_string("data")?);
    let media_type = match fields.required_string("format")?.as_str() {
        "mp3" => "audio/mpeg".to_owned(),
        format => format!("audio/{format}"),
    };
    let extras = fields.into_extras(NAMESPACE);
    Ok(Part::Media(Media { media_type, source, filename: None, transcript: None, extras }))
}

/// Reads `{"file_id": ...}` or `{"file_data": "data:application/pdf;base64,...", "filename": ...}`.
pub(super) fn decode_file(mut fields: Fields) -> Result<Part> {
    let unknown = "application/octet-stream";
    let (media_type, source) = match (fields.string("file_id")?, fields.string("file_data")?) {
        (Some(id), _) => (unknown.to_owned(), MediaSource::FileId(id)),
        (None, Some(encoded)) if encoded.starts_with("data:") => data_url::read(&encoded, unknown),
        (None, Some(encoded)) => (unknown.to_owned(), MediaSource::Base64(encoded)),
        (None, None) => return Err(fields.missing("file_id")),
    };
    let filename = fields.string("filename")?;
    let extras = fields.into_extras(NAMESPACE);
    Ok(Part::Media(Media { media_type, source, filename, transcript: None, extras }))
}

/// Writes media as a content part; `None` when the format has no place for it.
pub(super) fn encode(media: &Media) -> Option<Value> {
    let mut own: Map<String, Value> = media.extras.get(NAMESPACE).cloned().unwrap_or_default();
    let kind = media.media_type.split('/').next().unwrap_or_default();
    match (kind, &media.source) {
        ("image", MediaSource::Base64(_) | MediaSource::Url(_)) => {
            let detail = media.extras.get(responses::NAMESPACE).and_then(|own| own.get("detail"));
            if let (Some(detail), false) = (detail, own.contains_key("detail")) {
                own.insert("detail".into(), detail.clone());
            }
            own.insert("url".into(), data_url::write(media)?.into());
            Some(json!({"type": "image_url", "image_url": own}))
        }
        ("audio", MediaSource::Base64(encoded)) => {
            own.insert("data".into(), encoded.as_str().into());
            own.insert("format".into(), audio_format(&media.media_type).into());
            Some(json!({"type": "input_audio", "input_audio": own}))
        }
        ("video", _) | (_, MediaSource::Url(_)) => None,
        (_, MediaSource::FileId(id)) => {
            own.insert("file_id".into(), id.as_str().into());
            Some(json!({"type": "file", "file": own}))
        }
        (_, MediaSource::Base64(_)) => {
            own.insert("file_data".into(), data_url::write(media)?.into());
            if let Some(name) = &media.filename {
                own.insert("filename".into(), name.as_str().into());
            }
            Some(json!({"type": "file", "file": own}))
        }
    }
}

/// Writes an image of an answer as some hosts do: `message.images[]`.
pub(super) fn encode_reply_image(media: &Media) -> Option<Value> {
    Some(json!({"type": "image_url", "image_url": {"url": data_url::write(media)?}}))
}

/// The audio of an answer before any of it came; OpenAI does not repeat its format.
pub(super) fn reply_audio() -> Media {
    Media {
        media_type: "audio/*".to_owned(),
        source: MediaSource::Base64(String::new()),
        filename: None,
        transcript: None,
        extras: Extras::new(),
    }
}

/// The word for a kind of sound.
pub(super) fn audio_format(media_type: &str) -> &str {
    match media_type.strip_prefix("audio/").unwrap_or(media_type) {
        "mpeg" => "mp3",
        "x-wav" | "wave" => "wav",
        format => format,
    }
}
