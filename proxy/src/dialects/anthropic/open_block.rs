//! Blocks of a streamed message while they come.

use serde_json::{Map, Value};
use tollgate_types::{Citation, Part};

use super::citation;
use crate::dialects::call_id::{self, IdRule};

/// A block that has begun.
#[derive(Debug)]
pub(super) struct Open {
    /// Its number in the stream.
    pub(super) block: Option<u64>,
    /// Its number as a part.
    pub(super) index: u32,
    pub(super) kind: Kind,
}

/// What came of it, and what waits for its end.
#[derive(Debug)]
pub(super) enum Kind {
    Text {
        bytes: usize,
        citations: Vec<Value>,
    },
    Reasoning {
        signature: Option<String>,
    },
    /// A call, with the input that counts where no piece of it comes.
    Call {
        input: String,
        any: bool,
    },
    /// Shown when it is complete.
    Native {
        item: Value,
    },
    /// Complete from its beginning.
    Closed,
}

impl Kind {
    /// The kind of a block that begins with this part, and the part as it is told then.
    pub(super) fn of(part: Part) -> (Self, Option<Part>) {
        match part {
            Part::Text(mut text) => {
                let own = |citation: Citation| citation::own(&citation);
                let citations = std::mem::take(&mut text.citations).into_iter().filter_map(own);
                let kind = Self::Text { bytes: text.text.len(), citations: citations.collect() };
                (kind, Some(Part::Text(text)))
            }
            Part::Reasoning(reasoning) if reasoning.encrypted.is_some() => {
                (Self::Closed, Some(Part::Reasoning(reasoning)))
            }
            Part::Reasoning(mut reasoning) => {
                let signature = reasoning.signature.take();
                (Self::Reasoning { signature }, Some(Part::Reasoning(reasoning)))
            }
            Part::ToolCall(mut call) => {
                let input = std::mem::take(&mut call.arguments);
                (Self::Call { input, any: false }, Some(Part::ToolCall(call)))
            }
            Part::Native(native) => (Self::Native { item: native.item }, None),
            part => (Self::Closed, Some(part)),
        }
    }
}

/// A block with what a gateway may leave out: the empty text of one that begins, the id of a call.
pub(super) fn mended(answer: Option<&str>, index: u32, content: Value) -> Value {
    let Value::Object(mut block) = content else { return content };
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let word = |block: &Map<String, Value>, key: &str| {
        block.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    if kind == "text" && word(&block, "text").is_none() {
        block.insert("text".to_owned(), "".into());
    }
    if kind.ends_with("tool_use") && word(&block, "id").is_none_or(|id| id.is_empty()) {
        let made = format!("{}:{index}", answer.unwrap_or_default());
        block.insert("id".to_owned(), call_id::fit(&made, IdRule::Anthropic).into());
    }
    Value::Object(block)
}

/// Adds a delta to an item that nobody models: texts grow, anything else is set.
pub(super) fn grow(item: &mut Value, delta: &Value) {
    let (Value::Object(item), Value::Object(delta)) = (item, delta) else { return };
    for (key, value) in delta.iter().filter(|(key, _)| *key != "type") {
        match (item.get_mut(key), value) {
            (Some(Value::String(text)), Value::String(more)) => text.push_str(more),
            (_, value) => {
                item.insert(key.clone(), value.clone());
            }
        }
    }
}
