//! Annotations of an answer's text: `{"type": "url_citation", "url_citation": {...}}`.

use serde_json::{Value, json};
use tollgate_types::{Citation, Extras};

use super::NAMESPACE;

/// Reads annotations of a text. OpenAI counts characters, we count bytes; the annotation itself is
/// kept, so that it goes back verbatim.
pub(super) fn decode(annotations: &[Value], text: &str) -> Vec<Citation> {
    annotations
        .iter()
        .map(|annotation| {
            let source = annotation.get("url_citation");
            let word = |key: &str| Some(source?.get(key)?.as_str()?.to_owned());
            let place = |key: &str| byte_offset(text, source?.get(key)?.as_u64()?);
            Citation {
                url: word("url"),
                title: word("title"),
                quote: None,
                span: place("start_index").zip(place("end_index")),
                extras: annotation
                    .as_object()
                    .map(|map| Extras::from([(NAMESPACE.to_owned(), map.clone())]))
                    .unwrap_or_default(),
            }
        })
        .collect()
}

/// Writes citations of a text as annotations.
pub(super) fn encode(citations: &[Citation], text: &str) -> Vec<Value> {
    citations
        .iter()
        .map(|citation| match citation.extras.get(NAMESPACE) {
            Some(verbatim) => Value::Object(verbatim.clone()),
            None => {
                let (start, end) = citation.span.unwrap_or_default();
                json!({"type": "url_citation", "url_citation": {
                    "url": citation.url.as_deref().unwrap_or_default(),
                    "title": citation.title.as_deref().unwrap_or_default(),
                    "start_index": char_offset(text, start),
                    "end_index": char_offset(text, end),
                }})
            }
        })
        .collect()
}

/// Where the n-th character begins, in bytes.
pub(super) fn byte_offset(text: &str, chars: u64) -> Option<u32> {
    let chars = usize::try_from(chars).ok()?;
    let bytes = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(chars)?;
    u32::try_from(bytes).ok()
}

/// How many characters stand before a byte.
pub(super) fn char_offset(text: &str, bytes: u32) -> usize {
    text.char_indices().take_while(|(at, _)| (*at as u64) < u64::from(bytes)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn character_places_become_byte_places_and_back() {
        let text = "größe";
        let annotation = json!({"type": "url_citation",
            "url_citation": {"url": "https://a.example", "title": "A", "start_index": 2, "end_index": 4}});
        let mut citations = decode(std::slice::from_ref(&annotation), text);
        assert_eq!(citations[0].span, Some((2, 6)));
        assert_eq!(encode(&citations, text), std::slice::from_ref(&annotation));
        citations[0].extras.clear();
        assert_eq!(encode(&citations, text), [annotation]);
    }
}
