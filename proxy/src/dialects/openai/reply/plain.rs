//! Whole answers of nothing but text, which most are: read without a tree of values.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};
use std::borrow::Cow;
use tollgate_types::{GenerateResponse, Origin, Part};

use super::super::{CHAT_API, extras_of, finish, usage};

/// Any other field, and any other value in one of these, makes it an answer that is read in full.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    id: String,
    model: String,
    #[serde(borrow)]
    choices: [Choice<'a>; 1],
    usage: Value,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    system_fingerprint: Option<String>,
    #[serde(rename = "object", default)]
    _object: Option<IgnoredAny>,
    #[serde(rename = "created", default)]
    _created: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice<'a> {
    index: u64,
    #[serde(borrow)]
    message: Message<'a>,
    #[serde(default)]
    logprobs: (),
    #[serde(borrow)]
    finish_reason: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message<'a> {
    content: String,
    #[serde(borrow, rename = "role", default)]
    _role: Option<Cow<'a, str>>,
    #[serde(default)]
    refusal: (),
    #[serde(default)]
    annotations: [(); 0],
}

/// Reads such an answer. `None` for any other.
pub(super) fn decode(body: &[u8], provider: &str) -> Option<GenerateResponse> {
    let answer: Plain<'_> = serde_json::from_slice(body).ok()?;
    let Plain { id, model, choices: [choice], .. } = answer;
    let Choice { index: 0, message, logprobs: (), finish_reason } = choice else { return None };
    let Message { content, refusal: (), annotations: [], .. } = message;
    if id.is_empty() || model.is_empty() || content.is_empty() {
        return None;
    }
    let (usage, rest) = usage::decode(&answer.usage)?;
    let mut own = Map::new();
    if !rest.is_empty() {
        own.insert("usage".to_owned(), Value::Object(rest));
    }
    let facts =
        [("service_tier", answer.service_tier), ("system_fingerprint", answer.system_fingerprint)];
    for (name, fact) in facts {
        if let Some(fact) = fact.filter(|fact| !fact.is_empty()) {
            own.insert(name.to_owned(), fact.into());
        }
    }
    Some(GenerateResponse {
        content: vec![Part::text(content)],
        finish: finish::decode(Some(&finish_reason), false),
        usage,
        origin: Origin {
            api: CHAT_API.to_owned(),
            provider: provider.to_owned(),
            model,
            response_id: Some(id),
        },
        warnings: Vec::new(),
        extras: extras_of(own),
        receipt: None,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::decode_in_full, *};
    use serde_json::json;

    fn answer() -> Value {
        json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "é\n\"a\"",
                "refusal": null, "annotations": []}, "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14, "own": 1,
                "prompt_tokens_details": {"cached_tokens": 3}},
            "service_tier": "default", "system_fingerprint": "fp"})
    }

    #[test]
    fn a_plain_answer_says_the_same_as_when_it_is_read_in_full() {
        let mut bare = answer();
        for name in ["service_tier", "system_fingerprint", "object", "created"] {
            bare[name].take();
        }
        let mut cut = answer();
        cut["choices"][0]["finish_reason"] = "length".into();
        cut["system_fingerprint"] = "".into();
        for answer in [answer(), bare, cut] {
            let body = answer.to_string();
            let plain = decode(body.as_bytes(), "p").expect("it is plain");
            assert_eq!(plain, decode_in_full(body.as_bytes(), "p").unwrap(), "{body}");
        }
    }

    #[test]
    fn whatever_says_more_is_read_in_full() {
        for (place, value) in [
            ("/choices/0/message/content", Value::Null),
            ("/choices/0/message/content", "".into()),
            ("/choices/0/message/content", json!([{"type": "text", "text": "a"}])),
            ("/choices/0/message/refusal", "no".into()),
            ("/choices/0/message/annotations", json!([{"type": "url_citation"}])),
            ("/choices/0/logprobs", json!({"content": []})),
            ("/choices/0/finish_reason", Value::Null),
            ("/choices/0/index", 1.into()),
            ("/choices", json!([])),
            ("/usage", Value::Null),
            ("/id", "".into()),
            ("/model", "".into()),
            ("/choices/0/message", json!({"content": "a", "tool_calls": []})),
            ("/choices/0/message", json!({"content": "a", "reasoning": "b"})),
        ] {
            let mut answer = answer();
            *answer.pointer_mut(place).unwrap() = value;
            assert_eq!(decode(answer.to_string().as_bytes(), "p"), None, "{answer}");
        }
        let mut wrong = answer();
        wrong["error"] = json!({"message": "x"});
        assert_eq!(decode(wrong.to_string().as_bytes(), "p"), None);
        assert_eq!(decode(b"{", "p"), None);
    }
}
