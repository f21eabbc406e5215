//! Parts of a turn, written alike in requests and in answers.

use serde_json::{Map, Value};
use tollgate_types::{Extras, Media, Reasoning, Text, ToolCall};

use super::{NAMESPACE, ids, media};
use crate::dialects::merge::{merge, object};

/// Fields that say what a part holds. Extras may not set them: what a part says has been measured.
const CONTENT: [&str; 10] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "parts",
];

/// Further fields of a call itself are kept under this name among the extras of its part.
pub(super) const IN_CALL: &str = "inFunctionCall";

/// Whether a field of a part's extras would say what the part holds.
pub(super) fn is_content(key: &str) -> bool {
    CONTENT.contains(&super::names::camel(key).as_ref())
}

/// A text part.
pub(super) fn text(text: &Text) -> Value {
    with_own(object([("text", Some(text.text.as_str().into()))]), &text.extras)
}

/// A thought.
pub(super) fn reasoning(reasoning: &Reasoning) -> Value {
    let thought =
        [("text", Some(reasoning.text.as_str().into())), ("thought", Some(Value::Bool(true)))];
    with_own(object(thought), &reasoning.extras)
}

/// Media.
pub(super) fn media(media: &Media) -> Value {
    with_own(media::encode(media), &media.extras)
}

/// Which ids of calls are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// All: a client may tie results to calls by them.
    All,
    /// Those that were not made up here: Google has never seen the others.
    Known,
}

/// A call; `None` when its arguments are no JSON object, as those of an answer that was cut off.
pub(super) fn call(call: &ToolCall, ids: Ids) -> Option<Value> {
    let arguments = call.parse().ok().filter(Value::is_object)?;
    let mut own = call.extras.get(NAMESPACE).cloned().unwrap_or_default();
    let id = Some(&call.id).filter(|id| ids == Ids::All || is_sent(id));
    let mut function = object([
        ("id", id.map(|id| id.as_str().into())),
        ("name", Some(call.name.as_str().into())),
        ("args", Some(arguments)),
    ]);
    if let Some(Value::Object(more)) = own.shift_remove(IN_CALL) {
        function.extend(more.into_iter().filter(|(key, _)| key != "name" && key != "args"));
    }
    let mut part = object([("functionCall", Some(Value::Object(function)))]);
    lay_over(&mut part, &own);
    Some(Value::Object(part))
}

/// Whether Google is told an id: one that was made up here it has never seen.
pub(super) fn is_sent(id: &str) -> bool {
    !id.is_empty() && !ids::is_made_up(id)
}

fn with_own(mut part: Map<String, Value>, extras: &Extras) -> Value {
    if let Some(own) = extras.get(NAMESPACE) {
        lay_over(&mut part, own);
    }
    Value::Object(part)
}

/// Lays further fields of a part over it; what it holds stays as it is.
pub(super) fn lay_over(part: &mut Map<String, Value>, own: &Map<String, Value>) {
    let mut own = own.clone();
    own.retain(|key, _| !is_content(key));
    merge(part, &own);
}
