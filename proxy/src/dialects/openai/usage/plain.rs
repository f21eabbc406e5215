//! The usage object as OpenAI itself writes it, which most hosts copy: read without a tree of values.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tollgate_types::Usage;

use super::Stated;

/// Any other field, and any other kind of value, makes it one that is read in full.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Plain {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Option<Prompt>,
    completion_tokens_details: Option<Completion>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Prompt {
    cached_tokens: u64,
    cache_write_tokens: u64,
    audio_tokens: u64,
    image_tokens: u64,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Completion {
    reasoning_tokens: u64,
    audio_tokens: u64,
    /// What has no kind is kept.
    #[serde(deserialize_with = "some")]
    accepted_prediction_tokens: Option<u64>,
    #[serde(deserialize_with = "some")]
    rejected_prediction_tokens: Option<u64>,
}

fn some<'de, D: Deserializer<'de>>(count: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(count).map(Some)
}

impl Plain {
    /// As [`decode`](super::decode) reads it.
    pub(in super::super) fn usage(&self) -> Usage {
        let none = (Prompt::default(), Completion::default());
        let prompt = self.prompt_tokens_details.as_ref().unwrap_or(&none.0);
        let completion = self.completion_tokens_details.as_ref().unwrap_or(&none.1);
        let stated = Stated {
            prompt: self.prompt_tokens,
            completion: self.completion_tokens,
            total: self.total_tokens,
            cached: prompt.cached_tokens,
            written: prompt.cache_write_tokens,
            heard: prompt.audio_tokens,
            seen: prompt.image_tokens,
            thought: completion.reasoning_tokens,
            spoken: completion.audio_tokens,
        };
        stated.disjoint()
    }

    /// What [`decode`](super::decode) keeps of it.
    pub(in super::super) fn rest(&self) -> Map<String, Value> {
        let Some(completion) = &self.completion_tokens_details else { return Map::new() };
        let predicted = [
            ("accepted_prediction_tokens", completion.accepted_prediction_tokens),
            ("rejected_prediction_tokens", completion.rejected_prediction_tokens),
        ];
        let kept = |(name, count): (&str, Option<u64>)| Some((name.to_owned(), count?.into()));
        let kept: Map<String, Value> = predicted.into_iter().filter_map(kept).collect();
        if kept.is_empty() {
            return Map::new();
        }
        Map::from_iter([("completion_tokens_details".to_owned(), Value::Object(kept))])
    }
}

#[cfg(test)]
mod tests {
    use super::{super::decode, *};
    use serde_json::json;

    #[test]
    fn it_says_the_same_as_when_it_is_read_in_full() {
        for raw in [
            json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}),
            json!({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0,
                "prompt_tokens_details": null, "completion_tokens_details": {}}),
            json!({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 170,
                "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 20,
                    "cache_write_tokens": 5, "image_tokens": 3},
                "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 5,
                    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 7}}),
            json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX, "total_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": u64::MAX},
                "completion_tokens_details": {"accepted_prediction_tokens": 1}}),
        ] {
            let plain: Plain = serde_json::from_str(&raw.to_string()).unwrap();
            assert_eq!(Some((plain.usage(), plain.rest())), decode(&raw), "{raw}");
        }
    }

    #[test]
    fn whatever_says_more_or_less_is_not_plain() {
        for (name, value) in [
            ("cost", json!(0.5)),
            ("prompt_cache_hit_tokens", json!(4)),
            ("prompt_tokens", json!(-1)),
            ("prompt_tokens", json!("12")),
            ("total_tokens", Value::Null),
            ("completion_tokens", json!(1.5)),
            ("prompt_tokens_details", json!({"cached_tokens": null})),
            ("prompt_tokens_details", json!({"text_tokens": 1})),
            ("completion_tokens_details", json!({"accepted_prediction_tokens": null})),
            ("completion_tokens_details", json!(3)),
        ] {
            let mut raw = json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14});
            raw[name] = value;
            assert!(serde_json::from_str::<Plain>(&raw.to_string()).is_err(), "{raw}");
        }
    }
}
