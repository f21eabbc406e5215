//! Usage: OpenAI's overlapping counts to the disjoint kinds and back.
//!
//! `prompt_tokens` includes cached, written and audio tokens, `completion_tokens` includes reasoning
//! and audio. Compatible hosts differ, and their totals tell: xAI counts reasoning beside
//! `completion_tokens`, Mistral audio beside `prompt_tokens`, Gemini's compatible endpoint shows
//! hidden thinking in the total alone. The kinds always sum to the provider's total.

mod plain;

pub(super) use plain::Plain;

use std::borrow::Cow;

use serde_json::{Map, Value, json, value::RawValue};
use tollgate_types::Usage;

use crate::dialects::counts::{Counts, Share};

/// Reads a usage object. Numbers that are negative or unreadable count as zero and stay in the
/// rest, as does every field that has no kind.
pub(super) fn decode(raw: &Value) -> Option<(Usage, Map<String, Value>)> {
    let mut counts = Counts::of(raw)?;
    let mut take = |spellings: &[&[&str]]| counts.take(spellings).unwrap_or_default();
    let stated = Stated {
        prompt: take(&[&["prompt_tokens"]]),
        completion: take(&[&["completion_tokens"]]),
        total: take(&[&["total_tokens"]]),
        cached: take(&[
            &["prompt_tokens_details", "cached_tokens"],
            &["prompt_cache_hit_tokens"],
            &["num_cached_tokens"],
            &["cached_tokens"],
        ]),
        written: take(&[&["prompt_tokens_details", "cache_write_tokens"]]),
        heard: take(&[&["prompt_tokens_details", "audio_tokens"]]),
        seen: take(&[&["prompt_tokens_details", "image_tokens"]]),
        thought: take(&[&["completion_tokens_details", "reasoning_tokens"], &["reasoning_tokens"]]),
        spoken: take(&[&["completion_tokens_details", "audio_tokens"]]),
    };
    take(&[&["prompt_cache_miss_tokens"]]);
    Some((stated.disjoint(), counts.rest()))
}

/// The counts as providers state them: the first two include all that follow the third.
#[derive(Default)]
struct Stated {
    prompt: u64,
    completion: u64,
    total: u64,
    cached: u64,
    written: u64,
    heard: u64,
    seen: u64,
    thought: u64,
    spoken: u64,
}

impl Stated {
    fn disjoint(self) -> Usage {
        let Self { mut prompt, mut completion, total, heard, .. } = self;
        let beyond = total.saturating_sub(prompt.saturating_add(completion));
        let mut hidden = 0;
        if beyond > 0 && beyond == heard {
            prompt = prompt.saturating_add(heard);
        } else if beyond > 0 {
            completion = completion.saturating_add(beyond);
            hidden = beyond;
        }
        let mut input = Share::of(prompt);
        let mut output = Share::of(completion);
        Usage {
            cache_read: input.part(self.cached),
            cache_write_5m: input.part(self.written),
            audio_in: input.part(heard),
            image_in: input.part(self.seen),
            input: input.rest(),
            reasoning: output.part(self.thought.max(hidden)),
            audio_out: output.part(self.spoken),
            output: output.rest(),
            ..Usage::default()
        }
    }
}

/// A chunk as a client shall see it that did not ask for usage: not at all, if usage is all that it
/// holds.
pub fn without_usage(payload: &str) -> Option<Cow<'_, str>> {
    let only_usage = payload.contains("\"usage\"")
        && serde_json::from_str::<Told>(payload).is_ok_and(|told| told.is_usage_alone());
    (!only_usage).then_some(Cow::Borrowed(payload))
}

/// What tells a chunk of usage from others; the rest of a chunk is not read.
#[derive(serde::Deserialize)]
struct Told<'a> {
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

impl Told<'_> {
    fn is_usage_alone(&self) -> bool {
        let choices = self.choices.and_then(|raw| raw.get().strip_prefix('['));
        let no_choices = choices.is_some_and(|rest| rest.trim_start() == "]");
        no_choices && self.usage.is_some_and(|usage| usage.get().starts_with('{'))
    }
}

/// Writes the usage object of an answer.
pub(super) fn encode(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.total_input(),
        "completion_tokens": usage.total_output(),
        "total_tokens": usage.total(),
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m.saturating_add(usage.cache_write_1h),
            "audio_tokens": usage.audio_in,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_out,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &Value) -> Usage {
        decode(raw).unwrap().0
    }

    #[test]
    fn overlapping_counts_become_disjoint_and_go_back() {
        let raw = json!({
            "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 0, "audio_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 5},
        });
        let usage = read(&raw);
        let expected = Usage {
            input: 30,
            cache_read: 60,
            audio_in: 10,
            output: 15,
            reasoning: 30,
            audio_out: 5,
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        assert_eq!(usage.total(), 150);
        assert_eq!(encode(&usage), raw);
    }

    #[test]
    fn hosts_that_count_beside_are_told_by_their_total() {
        let xai = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35,
            "completion_tokens_details": {"reasoning_tokens": 20}});
        assert_eq!((read(&xai).output, read(&xai).reasoning), (5, 20));
        let mistral = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 390,
            "prompt_tokens_details": {"audio_tokens": 375}});
        assert_eq!((read(&mistral).input, read(&mistral).audio_in), (10, 375));
        let gemini = json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109});
        assert_eq!((read(&gemini).output, read(&gemini).reasoning), (12, 62));
        let deepseek = json!({"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10,
            "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 5});
        assert_eq!((read(&deepseek).input, read(&deepseek).cache_read), (5, 4));
    }

    #[test]
    fn impossible_numbers_never_become_credit_and_are_kept() {
        let raw = json!({"prompt_tokens": -5, "completion_tokens": 1e300, "total_tokens": "many",
            "completion_tokens_details": {"reasoning_tokens": 7}});
        let (usage, rest) = decode(&raw).unwrap();
        assert_eq!(usage.total(), 0);
        assert_eq!(rest.get("prompt_tokens"), Some(&json!(-5)));
        let more_cached_than_sent = json!({"prompt_tokens": 347, "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 403}});
        assert_eq!(read(&more_cached_than_sent).total_input(), 347);
        let huge = json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX});
        assert_eq!(read(&huge).total(), u64::MAX);
    }

    #[test]
    fn what_has_no_kind_is_kept() {
        let raw = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.5,
            "completion_tokens_details": {"accepted_prediction_tokens": 1, "reasoning_tokens": 0}});
        let rest = decode(&raw).unwrap().1;
        let kept =
            json!({"cost": 0.5, "completion_tokens_details": {"accepted_prediction_tokens": 1}});
        assert_eq!(Value::Object(rest), kept);
    }
}
