//! Ids of calls in answers and requests that are otherwise passed on as they came. Most of Google's
//! models give none; clients need them to tell calls apart, and Google shall not see ids that it
//! never gave.

use serde_json::{Map, Value};
use std::borrow::Cow;

use super::ids::{PREFIX, is_made_up, made_up};

/// The fields on the way to the calls of an answer or a request; what lies elsewhere is data.
const WAY: [&str; 4] = ["candidates", "content", "contents", "parts"];

/// Gives an id to calls that have none. Anything else stays as it is, byte for byte.
pub fn with_ids(payload: &str) -> Cow<'_, str> {
    if !payload.contains("\"functionCall\"") {
        return Cow::Borrowed(payload);
    }
    let Ok(mut answer) = serde_json::from_str::<Value>(payload) else {
        return Cow::Borrowed(payload);
    };
    let mut given = 0;
    visit(&mut answer, &["functionCall"], &mut |call| {
        // More arguments of a call that began before have no name.
        let named = call.get("id").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
        if !named && call.contains_key("name") {
            call.insert("id".to_owned(), made_up(payload, given).into());
            given += 1;
        }
    });
    if given > 0 { Cow::Owned(answer.to_string()) } else { Cow::Borrowed(payload) }
}

/// A client's own body without the ids that were made up for it.
pub(super) fn without_made_up(body: Vec<u8>) -> Vec<u8> {
    let may_hold_one = body.windows(PREFIX.len()).any(|bytes| bytes == PREFIX.as_bytes());
    let read = may_hold_one.then(|| serde_json::from_slice::<Value>(&body).ok()).flatten();
    let Some(mut request) = read else { return body };
    let mut taken = false;
    let places = ["functionCall", "function_call", "functionResponse", "function_response"];
    visit(&mut request, &places, &mut |place| {
        if place.get("id").and_then(Value::as_str).is_some_and(is_made_up) {
            place.shift_remove("id");
            taken = true;
        }
    });
    if taken { request.to_string().into_bytes() } else { body }
}

fn visit(value: &mut Value, places: &[&str], change: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, places, change)),
        Value::Object(fields) => {
            for (key, inner) in fields {
                if let (true, Value::Object(found)) = (places.contains(&key.as_str()), &mut *inner)
                {
                    change(found);
                } else if WAY.contains(&key.as_str()) {
                    visit(inner, places, change);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(more: Value) -> Value {
        let mut call = json!({"name": "add", "args": {"functionCall": {"name": "data"}}});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"functionCall": call})
    }

    #[test]
    fn calls_get_ids_and_lose_them_on_the_way_back() {
        let parts = json!([call(json!({})), call(json!({"id": ""})), call(json!({"id": "own"}))]);
        let answer = json!({"candidates": [{"content": {"parts": parts, "role": "model"}}]});
        let mended: Value = serde_json::from_str(&with_ids(&answer.to_string())).unwrap();
        let parts = &mended["candidates"][0]["content"]["parts"];
        let id = |at: usize| parts[at]["functionCall"]["id"].as_str().unwrap();
        assert!(is_made_up(id(0)) && is_made_up(id(1)) && id(0) != id(1), "{mended}");
        assert_eq!(id(2), "own");
        assert_eq!(parts[0]["functionCall"]["args"], json!({"functionCall": {"name": "data"}}));

        let result = json!({"function_response": {"id": id(0), "name": "add", "response": {}}});
        let request = json!({"contents": [{"parts": parts}, {"parts": [result]}]});
        let sent = without_made_up(request.to_string().into_bytes());
        let sent: Value = serde_json::from_slice(&sent).unwrap();
        assert!(!sent.to_string().contains(PREFIX), "{sent}");
        assert_eq!(sent["contents"][0]["parts"][2]["functionCall"]["id"], "own");
    }

    #[test]
    fn what_needs_no_mending_is_the_same_bytes() {
        for payload in [
            "{ \"candidates\": [ {\"content\": {\"parts\": [{\"text\": \"\\u00e9\"}]}} ] }",
            "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"a\",\"name\":\"n\"}}]}}]}",
            "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]}}]}",
            "{\"functionCall\": ",
        ] {
            assert!(
                matches!(with_ids(payload), Cow::Borrowed(same) if same == payload),
                "{payload}"
            );
        }
        let body = b"{ \"contents\": [{\"parts\": [{\"text\": \"gcall_ is a word\"}]}] }".to_vec();
        assert_eq!(without_made_up(body.clone()), body);
    }
}
