//! Answers that are passed on as they came, mended where no client could use them.

use serde_json::Value;
use std::borrow::Cow;

/// Gives an id to calls that have none (Gemini's compatible endpoint leaves them out): a client
/// cannot answer a call without one. Anything else stays as it is, byte for byte.
pub fn with_ids(payload: &str) -> Cow<'_, str> {
    if !payload.contains("\"tool_calls\"") {
        return Cow::Borrowed(payload);
    }
    let Ok(mut answer) = serde_json::from_str::<Value>(payload) else {
        return Cow::Borrowed(payload);
    };
    let seed = answer.get("id").map(Value::to_string).unwrap_or_default();
    let mut mended = false;
    let choices = answer.get_mut("choices").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten() {
        for place in ["message", "delta"] {
            let calls = choice.get_mut(place).and_then(|turn| turn.get_mut("tool_calls"));
            let calls = calls.and_then(Value::as_array_mut).into_iter().flatten();
            for (at, call) in calls.enumerate() {
                mended |= mend(call, at, &seed);
            }
        }
    }
    if mended { Cow::Owned(answer.to_string()) } else { Cow::Borrowed(payload) }
}

/// More arguments of a call that began before have no name, and need no id.
fn mend(call: &mut Value, at: usize, seed: &str) -> bool {
    let begins = call.get("function").and_then(|function| function.get("name")).is_some();
    let named = call.get("id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
    let Value::Object(fields) = call else { return false };
    if named || !begins {
        return false;
    }
    // The index names a call through a whole stream; without one the call itself does.
    let which = match fields.get("index") {
        Some(index) => index.to_string(),
        None => format!("{at} {:?}", fields.get("function")),
    };
    let digest = blake3::hash(format!("{seed} {which}").as_bytes());
    let letters: String = digest.to_hex().chars().take(24).collect();
    fields.insert("id".to_owned(), format!("call_{letters}").into());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn calls_without_ids_get_some_that_differ_and_everything_else_stays() {
        let call = |id: Value, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}});
        for place in ["message", "delta"] {
            let calls =
                json!([call("".into(), "a"), call(Value::Null, "a"), call("c9".into(), "b")]);
            let answer = json!({"id": "x", "own": 1.0, "choices": [{"index": 0, place: {"tool_calls": calls}}]});
            let mended: Value = serde_json::from_str(&with_ids(&answer.to_string())).unwrap();
            let id = |at: usize| {
                mended["choices"][0][place]["tool_calls"][at]["id"].as_str().unwrap().to_owned()
            };
            assert!(id(0).starts_with("call_") && id(1).starts_with("call_"), "{mended}");
            assert_ne!(id(0), id(1));
            assert_eq!((id(2).as_str(), &mended["own"]), ("c9", &json!(1.0)));
        }
    }

    #[test]
    fn what_needs_no_mending_is_the_same_bytes() {
        for payload in [
            "{ \"choices\": [ {\"delta\": {\"content\": \"\\u00e9\"}} ] }",
            "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"x\"}}]}}]}",
            "{\"tool_calls\": ",
            "[DONE]",
        ] {
            assert!(matches!(with_ids(payload), Cow::Borrowed(same) if same == payload));
        }
    }
}
