//! Media as URLs: `data:image/png;base64,...` holds the bytes themselves.

use tollgate_types::{Media, MediaSource};

/// The URL of media: its own, or one that holds the bytes; `None` for uploaded files.
pub(crate) fn write(media: &Media) -> Option<String> {
    match &media.source {
        MediaSource::Base64(encoded) => Some(format!("data:{};base64,{encoded}", media.media_type)),
        MediaSource::Url(url) => Some(url.clone()),
        MediaSource::FileId(_) => None,
    }
}

/// Media type and source of a URL; `unknown` where the URL does not say its type.
pub(crate) fn read(url: &str, unknown: &str) -> (String, MediaSource) {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, encoded)) if !media_type.is_empty() => {
            (media_type.to_owned(), MediaSource::Base64(encoded.to_owned()))
        }
        _ => (unknown.to_owned(), MediaSource::Url(url.to_owned())),
    }
}
