//! Whole answers of nothing but text, which most are: read without a tree of values.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, value::RawValue};
use std::borrow::Cow;
use tollgate_types::{Extras, GenerateResponse, Origin, Part, Usage};

use super::super::{CHAT_API, extras_of, finish, usage};

/// Any other field, and any other value in one of these, makes it an answer that is read in full.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    id: String,
    model: String,
    #[serde(borrow)]
    choices: [Choice<'a>; 1],
    #[serde(borrow)]
    usage: &'a RawValue,
    #[serde(borrow, default)]
    service_tier: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    system_fingerprint: Option<Cow<'a, str>>,
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
    let (mut answer, rest) = read(body, provider)?;
    answer.extras = rest.into_extras();
    Some(answer)
}

/// The same without extras.
pub(super) fn decode_told(body: &[u8], provider: &str) -> Option<GenerateResponse> {
    read(body, provider).map(|(answer, _)| answer)
}

fn read<'a>(body: &'a [u8], provider: &str) -> Option<(GenerateResponse, Rest<'a>)> {
    let answer: Plain<'_> = serde_json::from_slice(body).ok()?;
    let Plain { id, model, choices: [choice], service_tier, system_fingerprint, .. } = answer;
    let Choice { index: 0, message, logprobs: (), finish_reason } = choice else { return None };
    let Message { content, refusal: (), annotations: [], .. } = message;
    if id.is_empty() || model.is_empty() || content.is_empty() {
        return None;
    }
    let told = Told::of(answer.usage)?;
    let answer = GenerateResponse {
        content: vec![Part::text(content)],
        finish: finish::decode(Some(&finish_reason), false),
        usage: told.usage(),
        origin: Origin {
            api: CHAT_API.to_owned(),
            provider: provider.to_owned(),
            model,
            response_id: Some(id),
        },
        warnings: Vec::new(),
        extras: Extras::new(),
        receipt: None,
    };
    Some((answer, Rest { told, service_tier, system_fingerprint }))
}

/// The usage.
enum Told {
    Plain(usage::Plain),
    InFull(Usage, Map<String, Value>),
}

impl Told {
    fn of(raw: &RawValue) -> Option<Self> {
        if let Ok(plain) = serde_json::from_str(raw.get()) {
            return Some(Self::Plain(plain));
        }
        let (usage, rest) = usage::decode(&serde_json::from_str(raw.get()).ok()?)?;
        Some(Self::InFull(usage, rest))
    }

    fn usage(&self) -> Usage {
        match self {
            Self::Plain(plain) => plain.usage(),
            Self::InFull(usage, _) => usage.clone(),
        }
    }

    fn rest(self) -> Map<String, Value> {
        match self {
            Self::Plain(plain) => plain.rest(),
            Self::InFull(_, rest) => rest,
        }
    }
}

/// What becomes extras.
struct Rest<'a> {
    told: Told,
    service_tier: Option<Cow<'a, str>>,
    system_fingerprint: Option<Cow<'a, str>>,
}

impl Rest<'_> {
    fn into_extras(self) -> Extras {
        let mut own = Map::new();
        let rest = self.told.rest();
        if !rest.is_empty() {
            own.insert("usage".to_owned(), Value::Object(rest));
        }
        let facts =
            [("service_tier", self.service_tier), ("system_fingerprint", self.system_fingerprint)];
        for (name, fact) in facts {
            if let Some(fact) = fact.filter(|fact| !fact.is_empty()) {
                own.insert(name.to_owned(), fact.into());
            }
        }
        extras_of(own)
    }
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
        let mut counted = answer();
        counted["usage"].as_object_mut().unwrap().remove("own");
        counted["usage"]["completion_tokens_details"] = json!({"accepted_prediction_tokens": 1});
        for answer in [answer(), bare, cut, counted] {
            let body = answer.to_string();
            let plain = decode(body.as_bytes(), "p").expect("it is plain");
            assert_eq!(plain, decode_in_full(body.as_bytes(), "p").unwrap(), "{body}");
            let told = decode_told(body.as_bytes(), "p").expect("it is plain");
            assert_eq!(told, GenerateResponse { extras: Extras::new(), ..plain }, "{body}");
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
