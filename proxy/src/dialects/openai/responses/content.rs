//! The content of messages: texts, refusals, images, files and sound.

use serde_json::{Map, Value, json};
use tollgate_types::{Extras, Media, MediaSource, NativeItem, Part, Refusal, Result, Text};

use super::{
    super::{NAMESPACE as CHAT_NAMESPACE, logprobs, media::audio_format},
    CONTENT_API, ITEM, NAMESPACE, annotation, extras_of,
};
use crate::dialects::{
    data_url,
    fields::{Fields, numbered, wrong_type},
    merge::object,
};

/// Reads `content`: a string, or a list of parts.
pub(super) fn decode(path: &str, content: Value) -> Result<Vec<Part>> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(items) => numbered(path, items).into_iter().map(part).collect(),
        other => Err(wrong_type(path, "a string or a list of parts", &other)),
    }
}

fn part((path, value): (String, Value)) -> Result<Part> {
    let mut fields = Fields::of(path, value.clone())?;
    let kind = fields.required_string("type")?;
    match kind.as_str() {
        "input_text" | "output_text" | "text" => text(fields),
        "refusal" => {
            let text = fields.required_string("refusal")?;
            Ok(Part::Refusal(Refusal { text, extras: fields.into_extras(NAMESPACE) }))
        }
        "input_image" => image(fields),
        "input_file" => file(fields),
        "input_audio" => sound(fields),
        _ => Ok(Part::Native(NativeItem { api: CONTENT_API.to_owned(), item: value })),
    }
}

fn text(mut fields: Fields) -> Result<Part> {
    let text = fields.required_string("text")?;
    let list = |value: Option<Value>| match value {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let citations = annotation::decode(&list(fields.take("annotations")), &text);
    let logprobs = logprobs::decode(fields.take("logprobs").as_ref());
    Ok(Part::Text(Text { text, citations, logprobs, extras: rest(fields) }))
}

/// What nobody took, without what says nothing.
fn rest(fields: Fields) -> Extras {
    let mut rest = fields.rest();
    rest.retain(|_, value| !value.is_null());
    extras_of(rest)
}

fn media(media_type: &str, source: MediaSource, fields: Fields) -> Part {
    let (media_type, extras) = (media_type.to_owned(), rest(fields));
    Part::Media(Media { media_type, source, filename: None, transcript: None, extras })
}

fn image(mut fields: Fields) -> Result<Part> {
    let unknown = "image/*";
    let (media_type, source) = match (fields.string("image_url")?, fields.string("file_id")?) {
        (Some(url), _) => data_url::read(&url, unknown),
        (None, Some(id)) => (unknown.to_owned(), MediaSource::FileId(id)),
        (None, None) => return Err(fields.missing("image_url")),
    };
    Ok(media(&media_type, source, fields))
}

fn file(mut fields: Fields) -> Result<Part> {
    let unknown = "application/octet-stream";
    let filename = fields.string("filename")?;
    let (id, data) = (fields.string("file_id")?, fields.string("file_data")?);
    let (media_type, source) = match (id, data, fields.string("file_url")?) {
        (Some(id), ..) => (unknown.to_owned(), MediaSource::FileId(id)),
        (_, Some(data), _) if data.starts_with("data:") => data_url::read(&data, unknown),
        (_, Some(data), _) => (unknown.to_owned(), MediaSource::Base64(data)),
        (_, _, Some(url)) => (unknown.to_owned(), MediaSource::Url(url)),
        (None, None, None) => return Err(fields.missing("file_id")),
    };
    let mut part = media(&media_type, source, fields);
    if let Part::Media(media) = &mut part {
        media.filename = filename;
    }
    Ok(part)
}

fn sound(mut fields: Fields) -> Result<Part> {
    let mut sound = fields.required_object("input_audio")?;
    let source = MediaSource::Base64(sound.required_string("data")?);
    let media_type = match sound.required_string("format")?.as_str() {
        "mp3" => "audio/mpeg".to_owned(),
        format => format!("audio/{format}"),
    };
    Ok(media(&media_type, source, fields))
}

/// Adds the facts of this dialect to an object that says the common things already: extras never
/// replace what was measured.
pub(super) fn fill(object: &mut Map<String, Value>, extras: &Extras) {
    for (key, value) in extras.get(NAMESPACE).into_iter().flatten() {
        if key != ITEM && !object.contains_key(key) {
            object.insert(key.clone(), value.clone());
        }
    }
}

/// Writes a text or a refusal of an answer; `None` for other parts.
pub(super) fn encode_output(part: &Part) -> Option<Map<String, Value>> {
    match part {
        Part::Text(text) => {
            let mut written = object([
                ("type", Some("output_text".into())),
                ("text", Some(text.text.as_str().into())),
                ("annotations", Some(annotation::encode(&text.citations, &text.text).into())),
                ("logprobs", Some(logprobs::encode_tokens(&text.logprobs).into())),
            ]);
            fill(&mut written, &text.extras);
            Some(written)
        }
        Part::Refusal(refusal) => {
            let mut written = object([
                ("type", Some("refusal".into())),
                ("refusal", Some(refusal.text.as_str().into())),
            ]);
            fill(&mut written, &refusal.extras);
            Some(written)
        }
        Part::Native(native) if native.api == CONTENT_API => native.item.as_object().cloned(),
        _ => None,
    }
}

/// Writes a part of what the model is told; `None` when the format has no place for it.
pub(super) fn encode_input(part: &Part) -> Option<Map<String, Value>> {
    match part {
        Part::Text(text) => {
            let mut written = object([
                ("type", Some("input_text".into())),
                ("text", Some(text.text.as_str().into())),
            ]);
            fill(&mut written, &text.extras);
            Some(written)
        }
        Part::Media(media) => encode_media(media),
        Part::Native(native) if native.api == CONTENT_API => native.item.as_object().cloned(),
        _ => None,
    }
}

fn encode_media(media: &Media) -> Option<Map<String, Value>> {
    let kind = media.media_type.split('/').next().unwrap_or_default();
    let mut written = match (kind, &media.source) {
        ("video", _) | ("audio", MediaSource::Url(_)) => return None,
        ("image", MediaSource::FileId(id)) => {
            object([("type", Some("input_image".into())), ("file_id", Some(id.as_str().into()))])
        }
        ("image", _) => object([
            ("type", Some("input_image".into())),
            ("image_url", Some(data_url::write(media)?.into())),
        ]),
        ("audio", MediaSource::Base64(data)) => {
            let sound = json!({"data": data, "format": audio_format(&media.media_type)});
            object([("type", Some("input_audio".into())), ("input_audio", Some(sound))])
        }
        (_, source) => {
            let (key, value) = match source {
                MediaSource::FileId(id) => ("file_id", id.clone()),
                MediaSource::Url(url) => ("file_url", url.clone()),
                MediaSource::Base64(_) => ("file_data", data_url::write(media)?),
            };
            let name = media.filename.as_deref().map(Value::from);
            object([
                ("type", Some("input_file".into())),
                ("filename", name),
                (key, Some(value.into())),
            ])
        }
    };
    fill(&mut written, &media.extras);
    let detail = media.extras.get(CHAT_NAMESPACE).and_then(|chat| chat.get("detail"));
    if let (Some(detail), "image", false) = (detail, kind, written.contains_key("detail")) {
        written.insert("detail".to_owned(), detail.clone());
    }
    Some(written)
}
