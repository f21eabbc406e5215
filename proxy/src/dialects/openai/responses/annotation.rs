//! Annotations of a text: as those of chat completions, but flat.

use serde_json::{Map, Value, json};
use tollgate_types::Citation;

use super::{
    super::citation::{byte_offset, char_offset},
    NAMESPACE, extras_of,
};

/// Reads annotations of a text. OpenAI counts characters, we count bytes; the annotation itself is
/// kept, so that it goes back verbatim.
pub(super) fn decode(annotations: &[Value], text: &str) -> Vec<Citation> {
    annotations.iter().filter_map(Value::as_object).map(|note| read(note, text)).collect()
}

fn read(annotation: &Map<String, Value>, text: &str) -> Citation {
    let word = |key: &str| Some(annotation.get(key)?.as_str()?.to_owned());
    let place = |key: &str| byte_offset(text, annotation.get(key)?.as_u64()?);
    Citation {
        url: word("url"),
        title: word("title").or_else(|| word("filename")),
        quote: None,
        span: place("start_index").zip(place("end_index")),
        extras: extras_of(annotation.clone()),
    }
}

/// Writes citations of a text as annotations.
pub(super) fn encode(citations: &[Citation], text: &str) -> Vec<Value> {
    citations
        .iter()
        .map(|citation| match citation.extras.get(NAMESPACE) {
            Some(verbatim) => Value::Object(verbatim.clone()),
            None => {
                let (start, end) = citation.span.unwrap_or_default();
                json!({
                    "type": "url_citation",
                    "url": citation.url.as_deref().unwrap_or_default(),
                    "title": citation.title.as_deref().unwrap_or_default(),
                    "start_index": char_offset(text, start),
                    "end_index": char_offset(text, end),
                })
            }
        })
        .collect()
}
