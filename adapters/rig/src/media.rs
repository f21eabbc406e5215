//! Images, audio, video and files, both ways.

use crate::request::Refusal;
use base64::{Engine, prelude::BASE64_STANDARD};
use rig_core::message::{
    Audio, Document, DocumentSourceKind, Image, ImageDetail, ImageMediaType, MimeType, Video,
};
use serde_json::{Map, Value};
use tollgate_types::{Extras, Media, MediaSource, Part};

/// Image of rig's as a part.
pub(crate) fn image(image: &Image) -> Result<Part, Refusal> {
    let kind = image.media_type.as_ref().map_or("image/*", MimeType::to_mime_type);
    let mut media = media(&image.data, kind)?;
    if let Some(detail) = &image.detail {
        let word = match detail {
            ImageDetail::Low => "low",
            ImageDetail::High => "high",
            ImageDetail::Auto => "auto",
        };
        let own = Map::from_iter([("detail".to_owned(), Value::from(word))]);
        media.extras = Extras::from([("openai".to_owned(), own)]);
    }
    Ok(Part::Media(media))
}

/// Audio of rig's as a part.
pub(crate) fn audio(audio: &Audio) -> Result<Part, Refusal> {
    let kind = audio.media_type.as_ref().map_or("audio/*", MimeType::to_mime_type);
    media(&audio.data, kind).map(Part::Media)
}

/// Video of rig's as a part.
pub(crate) fn video(video: &Video) -> Result<Part, Refusal> {
    no_fields(video.additional_params.as_ref())?;
    let kind = video.media_type.as_ref().map_or("video/*", MimeType::to_mime_type);
    media(&video.data, kind).map(Part::Media)
}

/// Document of rig's as a part; one given as text is text.
pub(crate) fn document(document: &Document) -> Result<Part, Refusal> {
    no_fields(document.additional_params.as_ref())?;
    if let DocumentSourceKind::String(text) = &document.data {
        return Ok(Part::text(text));
    }
    let kind = document.media_type.as_ref();
    media(&document.data, kind.map_or("application/octet-stream", MimeType::to_mime_type))
        .map(Part::Media)
}

fn no_fields(params: Option<&Value>) -> Result<(), Refusal> {
    match params {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(Refusal::of("additional_params", "media has no fields of one provider")),
    }
}

fn media(data: &DocumentSourceKind, media_type: &str) -> Result<Media, Refusal> {
    let source = match data {
        DocumentSourceKind::Url(url) => MediaSource::Url(url.clone()),
        DocumentSourceKind::Base64(data) => MediaSource::Base64(data.clone()),
        DocumentSourceKind::FileId(id) => MediaSource::FileId(id.clone()),
        DocumentSourceKind::Raw(bytes) => MediaSource::Base64(BASE64_STANDARD.encode(bytes)),
        DocumentSourceKind::String(text) => MediaSource::Base64(BASE64_STANDARD.encode(text)),
        DocumentSourceKind::Unknown => return Err(Refusal::of("data", "media has no source")),
    };
    Ok(Media {
        media_type: media_type.to_owned(),
        source,
        filename: None,
        transcript: None,
        extras: Extras::new(),
    })
}

/// A part as an image of rig's, when it is one that rig knows the type of.
pub(crate) fn as_image(media: &Media) -> Option<Image> {
    let media_type = ImageMediaType::from_mime_type(&media.media_type)?;
    // Base64 arrives piece by piece.
    let data = match &media.source {
        MediaSource::Base64(_) => DocumentSourceKind::Base64(String::new()),
        MediaSource::Url(url) => DocumentSourceKind::Url(url.clone()),
        MediaSource::FileId(id) => DocumentSourceKind::FileId(id.clone()),
    };
    Some(Image { data, media_type: Some(media_type), ..Image::default() })
}
