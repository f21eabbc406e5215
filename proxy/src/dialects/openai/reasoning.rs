//! Reasoning text of an answer: hosts disagree about its name.
//!
//! `reasoning_content` (DeepSeek, vLLM, xAI, llama.cpp), `reasoning` (Groq, OpenRouter, Ollama),
//! `reasoning_details` (OpenRouter, with signatures), a list of `thinking` parts (Mistral).

use serde_json::{Map, Value};
use tollgate_types::Reasoning;

use super::NAMESPACE;

/// The fields of a message that hold reasoning text.
pub(super) const NAMES: [&str; 2] = ["reasoning_content", "reasoning"];
/// Where a piece of reasoning keeps the fields that it stood in, unless it is the first alone.
const NAMED: &str = "named";

/// Reasoning that stood in fields of a message.
pub(super) fn named(text: String, names: &[&str]) -> Reasoning {
    let mut reasoning = Reasoning { text, ..Reasoning::default() };
    name(&mut reasoning, names);
    reasoning
}

/// Remembers the fields that reasoning stood in.
pub(super) fn name(reasoning: &mut Reasoning, names: &[&str]) {
    if !names.is_empty() && names != ["reasoning_content"] {
        let own = reasoning.extras.entry(NAMESPACE.to_owned()).or_default();
        own.insert(NAMED.to_owned(), names.into());
    }
}

/// The fields that reasoning goes into.
pub(super) fn names_of(reasoning: &Reasoning) -> Vec<&'static str> {
    let own = reasoning.extras.get(NAMESPACE).and_then(|own| own.get(NAMED));
    let Some(Value::Array(names)) = own else { return NAMES.into_iter().take(1).collect() };
    NAMES.into_iter().filter(|name| names.iter().any(|own| own == name)).collect()
}

/// Takes the reasoning text out of a delta, and OpenRouter's details, which have to be sent back
/// unchanged.
pub(super) fn take(delta: &mut Map<String, Value>) -> (String, Vec<Value>) {
    let named = ["reasoning_content", "reasoning"].map(|key| delta.shift_remove(key));
    let text = named.iter().flatten().filter_map(Value::as_str).find(|text| !text.is_empty());
    let text = text.map(str::to_owned);
    let details = match delta.shift_remove("reasoning_details") {
        Some(Value::Array(details)) => details,
        _ => Vec::new(),
    };
    let told = |detail: &Value| {
        let text = detail.get("text").or_else(|| detail.get("summary"))?;
        text.as_str().map(str::to_owned)
    };
    let text = text.unwrap_or_else(|| details.iter().filter_map(told).collect());
    (text, details)
}

/// The text of a content part that holds reasoning: `{"type": "thinking", "thinking": [...]}`.
pub(super) fn of_part(part: &Value) -> Option<String> {
    if !matches!(part.get("type")?.as_str()?, "thinking" | "reasoning") {
        return None;
    }
    let inner = ["thinking", "reasoning", "text"].into_iter().find_map(|key| part.get(key))?;
    Some(match inner {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    })
}

/// Adds details of one chunk to those before: pieces of one block (same type and index) grow
/// together, as they would have come in an answer that is not streamed.
pub(super) fn add_details(all: &mut Vec<Value>, more: Vec<Value>) {
    for piece in more {
        let place = |detail: &Value| (detail.get("type").cloned(), detail.get("index").cloned());
        match (all.last_mut(), piece) {
            (Some(Value::Object(last)), Value::Object(piece))
                if place(&Value::Object(last.clone())) == place(&Value::Object(piece.clone()))
                    && piece.contains_key("index") =>
            {
                grow(last, piece);
            }
            (_, piece) => all.push(piece),
        }
    }
}

fn grow(block: &mut Map<String, Value>, piece: Map<String, Value>) {
    for (key, value) in piece {
        let grows = matches!(key.as_str(), "text" | "summary" | "data");
        match (block.get_mut(&key), value) {
            (Some(Value::String(text)), Value::String(more)) if grows => text.push_str(&more),
            (_, Value::Null) => {}
            (_, value) => {
                block.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn taken(delta: &Value) -> (String, Vec<Value>) {
        take(&mut delta.as_object().unwrap().clone())
    }

    #[test]
    fn every_name_of_reasoning_is_read_once() {
        assert_eq!(taken(&json!({"reasoning_content": "a", "content": "b"})).0, "a");
        assert_eq!(taken(&json!({"reasoning": "a", "reasoning_details": [{"text": "a"}]})).0, "a");
        assert_eq!(taken(&json!({"reasoning_details": [{"text": "a"}, {"summary": "b"}]})).0, "ab");
        assert_eq!(taken(&json!({"reasoning": null})).0, "");
        let part = json!({"type": "thinking", "thinking": [{"type": "text", "text": "1"}]});
        assert_eq!(of_part(&part).as_deref(), Some("1"));
    }

    #[test]
    fn pieces_of_a_detail_grow_together() {
        let mut all = vec![];
        let text = |text: &str| json!({"type": "reasoning.text", "index": 0, "text": text});
        add_details(&mut all, vec![text("a")]);
        add_details(&mut all, vec![text("b"), json!({"type": "reasoning.encrypted", "data": "x"})]);
        let expected = [text("ab"), json!({"type": "reasoning.encrypted", "data": "x"})];
        assert_eq!(all, expected);
    }
}
