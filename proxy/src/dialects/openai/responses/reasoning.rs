//! Reasoning items: a summary in pieces, or the full text, or nothing but encrypted content.

use serde_json::{Map, Value, json};
use tollgate_types::{Part, Reasoning, Result};

use super::{NAMESPACE, content::fill, extras_of};
use crate::dialects::{fields::Fields, merge::object};

/// The fact that a part's text is the full reasoning, not a summary.
const FULL: &str = "full";

/// Which of its texts an item has shown already, in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shown {
    /// None: the full text counts, else the summary.
    #[default]
    Nothing,
    /// The summary.
    Summary,
    /// The full text.
    Full,
}

/// Facts of reasoning whose full text is shown.
pub(super) fn full_facts() -> Map<String, Value> {
    object([(FULL, Some(true.into()))])
}

/// Whether a part's text is the full reasoning.
pub(super) fn is_full(reasoning: &Reasoning) -> bool {
    reasoning.extras.get(NAMESPACE).is_some_and(|own| own.contains_key(FULL))
}

/// Reads an item. The encrypted content is the signature of the part, because a stream knows it
/// only at the end.
pub(super) fn decode(mut fields: Fields, shown: Shown) -> Result<Part> {
    let pieces = |list: Option<Vec<(String, Value)>>| -> Vec<Value> {
        list.unwrap_or_default().into_iter().map(|(_, piece)| piece).collect()
    };
    let summary = pieces(fields.list("summary")?);
    let content = pieces(fields.list("content")?);
    let signature = fields.string("encrypted_content")?;
    let is_full = match shown {
        Shown::Nothing => !text_of(&content).is_empty(),
        shown => shown == Shown::Full,
    };
    let text = text_of(if is_full { &content } else { &summary });
    let mut own = fields.rest();
    own.retain(|_, value| !value.is_null());
    if is_full {
        own.extend(full_facts());
    }
    // What the text alone would not give back stands beside it.
    let (plain_summary, plain_content) = plain(&text, is_full);
    if summary != plain_summary {
        own.insert("summary".to_owned(), summary.into());
    }
    if content != plain_content {
        own.insert("content".to_owned(), content.into());
    }
    Ok(Part::Reasoning(Reasoning { text, signature, encrypted: None, extras: extras_of(own) }))
}

/// Writes an item of the same API.
pub(super) fn encode(reasoning: &Reasoning) -> Map<String, Value> {
    let full = is_full(reasoning);
    let own = reasoning.extras.get(NAMESPACE);
    let (summary, content) = plain(&reasoning.text, full);
    let kept = |key: &str| own.and_then(|own| own.get(key)).and_then(Value::as_array).cloned();
    // A list that stands beside the text counts only if it says the same.
    let same = |list: &Vec<Value>| text_of(list) == reasoning.text;
    let summary = kept("summary").filter(|list| full || same(list)).unwrap_or(summary);
    let content = kept("content").filter(|list| !full || same(list)).unwrap_or(content);
    let sealed = reasoning.signature.as_ref().or(reasoning.encrypted.as_ref());
    let mut item = object([
        ("type", Some("reasoning".into())),
        ("summary", Some(summary.into())),
        ("content", Some(content).filter(|list| !list.is_empty()).map(Value::from)),
        ("encrypted_content", sealed.map(|sealed| sealed.as_str().into())),
    ]);
    let had_content = item.contains_key("content");
    fill(&mut item, &reasoning.extras);
    item.shift_remove(FULL);
    if !had_content {
        item.shift_remove("content");
    }
    item
}

/// The summary and the content that a text alone stands for.
fn plain(text: &str, full: bool) -> (Vec<Value>, Vec<Value>) {
    match (text.is_empty(), full) {
        (true, _) => (Vec::new(), Vec::new()),
        (false, true) => (Vec::new(), vec![json!({"type": "reasoning_text", "text": text})]),
        (false, false) => (vec![json!({"type": "summary_text", "text": text})], Vec::new()),
    }
}

/// The text of a summary or of content.
pub(super) fn text_of(pieces: &[Value]) -> String {
    pieces.iter().filter_map(|piece| piece.get("text")?.as_str()).collect()
}
