//! Images, audio, video and documents: `inlineData` holds the bytes, `fileData` says where they are.

use serde_json::{Map, Value};
use tollgate_types::{Extras, Media, MediaSource};

use super::names::camel;
use crate::dialects::merge::object;

/// The media type of a file whose type nobody told.
const UNKNOWN: &str = "*/*";

/// Takes the media out of a part; what is left in the part belongs to it. `None` when it holds none
/// that can be read.
pub(super) fn take(part: &mut Map<String, Value>) -> Option<Media> {
    let media = match part.get("inlineData") {
        Some(data) => inline(data)?,
        None => file(part.get("fileData")?)?,
    };
    part.shift_remove("inlineData").or_else(|| part.shift_remove("fileData"));
    Some(media)
}

fn inline(data: &Value) -> Option<Media> {
    let source = MediaSource::Base64(word(data, "data")?);
    Some(media(word(data, "mimeType")?, source, data))
}

fn file(data: &Value) -> Option<Media> {
    let uri = word(data, "fileUri")?;
    // What only Google can open is a file of Google's, not an address.
    let uploaded = uri.starts_with("gs://") || uri.contains("generativelanguage.googleapis.com/");
    let source = if uploaded { MediaSource::FileId(uri) } else { MediaSource::Url(uri) };
    Some(media(word(data, "mimeType").unwrap_or_else(|| UNKNOWN.to_owned()), source, data))
}

fn media(media_type: String, source: MediaSource, data: &Value) -> Media {
    let filename = word(data, "displayName");
    Media { media_type, source, filename, transcript: None, extras: Extras::new() }
}

fn word(object: &Value, name: &str) -> Option<String> {
    let mut fields = object.as_object()?.iter();
    let (_, value) = fields.find(|(key, _)| camel(key) == name)?;
    value.as_str().map(str::to_owned)
}

/// Writes media as a part.
pub(super) fn encode(media: &Media) -> Map<String, Value> {
    let filename = media.filename.as_deref().map(Value::from);
    match &media.source {
        MediaSource::Base64(data) => {
            let data = object([
                ("mimeType", Some(media.media_type.as_str().into())),
                ("data", Some(data.as_str().into())),
                ("displayName", filename),
            ]);
            object([("inlineData", Some(Value::Object(data)))])
        }
        MediaSource::Url(uri) | MediaSource::FileId(uri) => {
            let data = object([
                ("mimeType", type_of(&media.media_type, uri).map(Value::from)),
                ("fileUri", Some(uri.as_str().into())),
                ("displayName", filename),
            ]);
            object([("fileData", Some(Value::Object(data)))])
        }
    }
}

/// The media type of a file; one that is not told in full is guessed from its name, because Google
/// does not look into the file.
fn type_of<'a>(told: &'a str, uri: &str) -> Option<&'a str> {
    if !told.contains('*') {
        return Some(told);
    }
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    Some(match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn media_go_both_ways() {
        for part in [
            json!({"inlineData": {"mimeType": "image/png", "data": "AAAA", "displayName": "a.png"}}),
            json!({"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/a.pdf"}}),
            json!({"fileData": {"fileUri": "https://video.example/watch?v=1"}}),
        ] {
            let mut map = part.as_object().unwrap().clone();
            let media = take(&mut map).unwrap();
            assert!(map.is_empty());
            assert_eq!(Value::Object(encode(&media)), part);
        }
        let snake = json!({"inlineData": {"mime_type": "image/png", "data": "AAAA"}});
        assert!(take(&mut snake.as_object().unwrap().clone()).is_some());
        let broken = json!({"inlineData": {"data": "AAAA"}});
        assert!(take(&mut broken.as_object().unwrap().clone()).is_none());
        assert_eq!(type_of("image/*", "https://a.example/x.JPG?y=.png"), Some("image/jpeg"));
    }
}
