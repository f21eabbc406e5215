//! Citations of a text block: `{"type": "web_search_result_location", "url": ..., "cited_text": ...}`.

use serde_json::{Map, Value, json};
use tollgate_types::{Citation, Extras};

use super::NAMESPACE;

/// Reads citations of a whole text block. They hold for all of it; the citation itself is kept, so
/// that it goes back verbatim.
pub(super) fn decode(citations: &[Value], text_bytes: usize) -> Vec<Citation> {
    let end = u32::try_from(text_bytes).ok();
    citations
        .iter()
        .filter_map(Value::as_object)
        .map(|citation| {
            let word = |keys: &[&str]| {
                keys.iter().find_map(|key| Some(citation.get(*key)?.as_str()?.to_owned()))
            };
            Citation {
                url: word(&["url"]),
                title: word(&["title", "document_title"]),
                quote: word(&["cited_text"]),
                span: end.map(|end| (0, end)),
                extras: Extras::from([(NAMESPACE.to_owned(), citation.clone())]),
            }
        })
        .collect()
}

/// A citation as Anthropic wrote it; `None` when another API did.
pub(super) fn own(citation: &Citation) -> Option<Value> {
    let own: &Map<String, Value> = citation.extras.get(NAMESPACE)?;
    Some(Value::Object(own.clone()))
}

/// Writes a citation of an answer; those of other APIs look like results of a web search.
pub(super) fn encode(citation: &Citation) -> Value {
    own(citation).unwrap_or_else(|| {
        json!({
            "type": "web_search_result_location",
            "url": citation.url.as_deref().unwrap_or_default(),
            "title": citation.title,
            "cited_text": citation.quote.as_deref().unwrap_or_default(),
            "encrypted_index": "",
        })
    })
}
