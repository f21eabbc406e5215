//! Chunks that only append text, which most are: read without a tree of values.

use serde::{Deserialize, de::IgnoredAny};
use std::borrow::Cow;
use tollgate_types::StreamEvent;

use super::{Kind, StreamDecoder};

/// A chunk of which nothing but the text is new. Any other field, and any other value in one of
/// these, makes it one that is read in full.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    service_tier: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    system_fingerprint: Option<Cow<'a, str>>,
    #[serde(borrow)]
    choices: [Choice<'a>; 1],
    #[serde(default)]
    usage: (),
    #[serde(rename = "object", default)]
    _object: Option<IgnoredAny>,
    #[serde(rename = "created", default)]
    _created: Option<IgnoredAny>,
    #[serde(rename = "obfuscation", default)]
    _obfuscation: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice<'a> {
    index: u64,
    #[serde(borrow)]
    delta: Delta<'a>,
    #[serde(default)]
    logprobs: (),
    #[serde(default)]
    finish_reason: (),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(rename = "role", default)]
    _role: Option<IgnoredAny>,
    #[serde(default)]
    refusal: (),
}

impl StreamDecoder {
    /// The events of a chunk that only appends to the text that is open. `None` for any other.
    pub(super) fn take_plain(&mut self, payload: &str) -> Option<Vec<StreamEvent>> {
        let open = self.open.as_ref().filter(|open| open.kind == Kind::Text)?.index;
        let chunk: Plain<'_> = serde_json::from_str(payload).ok()?;
        let Plain {
            choices: [Choice { index: 0, delta, logprobs: (), finish_reason: () }], ..
        } = &chunk
        else {
            return None;
        };
        let ((), ()) = (chunk.usage, delta.refusal);
        if !self.knows(&chunk) {
            return None;
        }
        let text = delta.content.as_ref();
        if text.is_empty() {
            return Some(Vec::new());
        }
        self.open.as_mut()?.text.push_str(text);
        Some(vec![StreamEvent::delta(open, text)])
    }

    /// Whether the chunk says nothing of the answer that earlier ones did not.
    fn knows(&self, chunk: &Plain<'_>) -> bool {
        let named = chunk.id.is_none() || self.origin.response_id.is_some();
        let of_model = chunk.model.is_none() || !self.origin.model.is_empty();
        let is_known = |key: &str, value: &Option<Cow<'_, str>>| {
            value.as_deref().is_none_or(|value| {
                let known = self.extras.get(key).and_then(serde_json::Value::as_str);
                known == Some(value) || (known.is_none() && value.is_empty())
            })
        };
        named
            && of_model
            && is_known("service_tier", &chunk.service_tier)
            && is_known("system_fingerprint", &chunk.system_fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::stream::Decoder;
    use serde_json::{Value, json};

    fn begun() -> StreamDecoder {
        let mut decoder = StreamDecoder::new("p");
        let first = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1,
            "model": "m", "service_tier": "default",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}}]});
        decoder.push(&first.to_string()).unwrap();
        decoder
    }

    /// The events of a chunk read in full, and what is known after it.
    fn in_full(chunk: &Value) -> (Vec<StreamEvent>, String) {
        let mut decoder = begun();
        let Value::Object(fields) = chunk.clone() else { panic!("no object") };
        (decoder.take(fields).unwrap(), format!("{decoder:?}"))
    }

    #[test]
    fn a_plain_chunk_says_the_same_as_when_it_is_read_in_full() {
        let chunks = [
            json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "service_tier": "default", "system_fingerprint": null, "usage": null,
                "obfuscation": "x", "choices": [{"index": 0, "logprobs": null,
                "delta": {"content": "é\n\"b\""}, "finish_reason": null}]}),
            json!({"choices": [{"index": 0, "delta": {"content": "b"}}]}),
            json!({"id": "other", "model": "n", "system_fingerprint": "",
                "choices": [{"index": 0, "delta": {"content": "", "role": "assistant"}}]}),
        ];
        for chunk in chunks {
            let mut decoder = begun();
            let events = decoder.take_plain(&chunk.to_string()).expect("it is plain");
            assert_eq!((events, format!("{decoder:?}")), in_full(&chunk), "{chunk}");
        }
    }

    #[test]
    fn whatever_says_more_is_read_in_full() {
        let text = json!({"content": "b"});
        for chunk in [
            json!({"choices": [{"index": 1, "delta": text}]}),
            json!({"choices": [{"index": 0, "delta": text}, {"index": 1, "delta": text}]}),
            json!({"choices": []}),
            json!({"choices": [{"index": 0, "delta": text, "finish_reason": "stop"}]}),
            json!({"choices": [{"index": 0, "delta": text, "logprobs": {"content": []}}]}),
            json!({"choices": [{"index": 0, "delta": text}], "usage": {"prompt_tokens": 1}}),
            json!({"choices": [{"index": 0, "delta": text}], "service_tier": "flex"}),
            json!({"choices": [{"index": 0, "delta": text}], "system_fingerprint": "f"}),
            json!({"choices": [{"index": 0, "delta": text}], "error": {"message": "x"}}),
            json!({"choices": [{"index": 0, "delta": {"content": "b", "tool_calls": []}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": null}}]}),
            json!({"choices": [{"index": 0, "delta": {"content": [{"text": "b"}]}}]}),
            json!({"choices": [{"index": 0, "delta": text}], "own": 1}),
        ] {
            assert_eq!(begun().take_plain(&chunk.to_string()), None, "{chunk}");
        }
        let mut other = StreamDecoder::new("p");
        let plain = json!({"choices": [{"index": 0, "delta": text}]}).to_string();
        assert_eq!(other.take_plain(&plain), None, "no text is open");
        assert!(begun().take_plain(&plain).is_some());
    }
}
