//! What the caller's functions answered: `functionResponse`.
//!
//! Google wants an object; `output` and `error` in it mean what they say, anything else is taken as
//! a whole (<https://ai.google.dev/api/caching>, FunctionResponse).

use serde_json::{Map, Value, json};
use tollgate_types::{NativeItem, Part, Result, Text, ToolResult};

use super::{
    API, NAMESPACE,
    ids::Unanswered,
    media,
    names::{list_or_one, object_at},
    parts,
};
use crate::dialects::{
    fields::{Fields, wrong_type},
    honoured::Honoured,
    merge::{merge, object},
};

/// Further fields of the part around a result are kept under this name among the result's extras.
pub(super) const BESIDE: &str = "besideFunctionResponse";

/// Reads a `functionResponse`.
///
/// # Errors
/// `invalid_request` with the path of the field that is wrong.
pub(super) fn decode_result(mut fields: Fields, calls: &mut Unanswered) -> Result<ToolResult> {
    let name = fields.required_string("name")?;
    let id = fields.string("id")?.filter(|id| !id.is_empty());
    let path = fields.path_of("response");
    let (text, is_error) = match fields.take("response") {
        None => (None, false),
        Some(Value::Object(response)) => words(response),
        Some(other) => return Err(wrong_type(&path, "an object", &other)),
    };
    let mut content: Vec<Part> = text.map(Part::text).into_iter().collect();
    for (path, item) in list_or_one(&mut fields, "parts")?.unwrap_or_default() {
        let mut map = object_at(path, item.clone())?.rest();
        content.push(match media::take(&mut map) {
            Some(mut media) => {
                media.extras = super::extras_of(map);
                Part::Media(media)
            }
            None => Part::Native(NativeItem { api: API.to_owned(), item }),
        });
    }
    let call_id = calls.answer(&name, id);
    let extras = fields.into_extras(NAMESPACE);
    Ok(ToolResult { call_id, name: Some(name), content, is_error, extras })
}

/// Extras of a result that would set what it says.
pub(super) fn reserved_in(own: &Map<String, Value>) -> Option<&str> {
    let reserved = ["id", "name", "response", "parts"];
    own.keys().map(String::as_str).find(|key| reserved.contains(key))
}

/// The words of a response, and whether they tell of a failure.
fn words(response: Map<String, Value>) -> (Option<String>, bool) {
    let mut fields = response.iter();
    let (said, is_error) = match (fields.next(), fields.next()) {
        (None, _) => return (None, false),
        (Some((key, said)), None) => (Some((key.as_str(), said)), key == "error"),
        _ => (None, false),
    };
    match said {
        Some(("output", Value::String(text))) if as_object(text).is_none() => {
            (Some(text.clone()), false)
        }
        Some(("error", Value::String(text))) if failure(text).is_none() => {
            (Some(text.clone()), true)
        }
        _ => (Some(Value::Object(response).to_string()), is_error),
    }
}

fn as_object(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_object)
}

/// An object that tells of a failure itself.
fn failure(text: &str) -> Option<Value> {
    as_object(text).filter(|object| object.get("error").is_some())
}

/// Writes a result as a part, and the media that stand beside it where the model does not take them
/// within.
///
/// # Errors
/// `unsupported` for a part of the result that has no place.
pub(super) fn encode_result(
    result: &ToolResult,
    name: &str,
    (place, within): (&str, bool),
    honoured: &mut Honoured,
) -> Result<Vec<Value>> {
    let (mut texts, mut inside, mut beside) = (Vec::new(), Vec::new(), Vec::new());
    for part in &result.content {
        match part {
            Part::Text(Text { text, .. }) => texts.push(text.as_str()),
            Part::Refusal(refusal) => texts.push(refusal.text.as_str()),
            Part::Media(media) if within => inside.push(parts::media(media)),
            Part::Media(media) => beside.push(parts::media(media)),
            Part::Native(native) if native.api == API => inside.push(native.item.clone()),
            _ => honoured.cannot(place, "a tool result can only hold text and media")?,
        }
    }
    let id = Some(&result.call_id).filter(|id| parts::is_sent(id));
    let mut function = object([
        ("id", id.map(|id| id.as_str().into())),
        ("name", Some(name.into())),
        ("response", Some(response(&texts, result.is_error))),
        ("parts", Some(inside).filter(|inside| !inside.is_empty()).map(Value::from)),
    ]);
    let mut own = result.extras.get(NAMESPACE).cloned().unwrap_or_default();
    let around = own.shift_remove(BESIDE);
    merge(&mut function, &own);
    let mut part = object([("functionResponse", Some(Value::Object(function)))]);
    if let Some(Value::Object(around)) = around {
        parts::lay_over(&mut part, &around);
    }
    let mut written = vec![Value::Object(part)];
    written.append(&mut beside);
    Ok(written)
}

fn response(texts: &[&str], is_error: bool) -> Value {
    let key = if is_error { "error" } else { "output" };
    let said = match texts {
        [] if !is_error => return json!({}),
        [] => Value::from(""),
        [text] => match if is_error { failure(text) } else { as_object(text) } {
            Some(object) => return object,
            None => Value::from(*text),
        },
        several => json!(several),
    };
    Value::Object(object([(key, Some(said))]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_types::OnUnsupported;

    #[test]
    fn every_shape_of_a_response_goes_back_as_it_came() {
        for (raw, text, is_error) in [
            (json!({"output": "7"}), Some("7"), false),
            (json!({"error": "gone"}), Some("gone"), true),
            (json!({"result": 7}), Some(r#"{"result":7}"#), false),
            (json!({"error": {"code": 5}}), Some(r#"{"error":{"code":5}}"#), true),
            (json!({"output": "{\"a\":1}"}), Some(r#"{"output":"{\"a\":1}"}"#), false),
            (json!({"error": "e", "output": "o"}), Some(r#"{"error":"e","output":"o"}"#), false),
            (json!({}), None, false),
        ] {
            let function = json!({"name": "f", "id": "x", "response": raw, "willContinue": false});
            let fields = Fields::of("p".into(), function.clone()).unwrap();
            let result = decode_result(fields, &mut Unanswered::default()).unwrap();
            assert_eq!(result.content.first().and_then(Part::as_text), text);
            assert_eq!(result.is_error, is_error);
            let mut honoured = Honoured::new(OnUnsupported::Fail);
            let written = encode_result(&result, "f", ("p", true), &mut honoured).unwrap();
            assert_eq!(written, [json!({"functionResponse": function})]);
        }
    }
}
