//! Usage: Google's counts to the disjoint kinds and back.
//!
//! `promptTokenCount` includes cached tokens; the prompts of hosted tools
//! (`toolUsePromptTokenCount`) and thoughts (`thoughtsTokenCount`) are counted beside. Details tell
//! the modalities of each.

use serde_json::{Map, Value, json};
use tollgate_types::Usage;

use crate::dialects::{
    counts::{Counts, Share, count},
    merge::object,
};

const TOOL_USE: &str = "toolUsePromptTokenCount";

/// Reads a usage object. Numbers that are negative or unreadable count as zero and stay in the
/// rest, as does what tells more than the kinds do.
pub(super) fn decode(raw: &Map<String, Value>) -> (Usage, Map<String, Value>) {
    let whole = Value::Object(raw.clone());
    let Some(mut counts) = Counts::of(&whole) else { return Default::default() };
    let mut take = |key: &str| counts.take(&[&[key]]).unwrap_or_default();
    let (prompt, answer) = (take("promptTokenCount"), take("candidatesTokenCount"));
    let (cached, thought) = (take("cachedContentTokenCount"), take("thoughtsTokenCount"));
    let by_tools = take(TOOL_USE);
    take("totalTokenCount");
    let in_prompt = |kind: &str| {
        let sent = modality(raw, "promptTokensDetails", kind);
        let of_tools = modality(raw, "toolUsePromptTokensDetails", kind);
        let cached = modality(raw, "cacheTokensDetails", kind);
        sent.saturating_add(of_tools).saturating_sub(cached)
    };
    let mut input = Share::of(prompt.saturating_add(by_tools));
    let mut output = Share::of(answer.saturating_add(thought));
    let usage = Usage {
        cache_read: input.part(cached),
        audio_in: input.part(in_prompt("AUDIO")),
        image_in: input.part(in_prompt("IMAGE")),
        input: input.rest(),
        reasoning: output.part(thought),
        audio_out: output.part(modality(raw, "candidatesTokensDetails", "AUDIO")),
        output: output.rest(),
        ..Usage::default()
    };
    let mut rest = counts.rest();
    if by_tools > 0 {
        rest.insert(TOOL_USE.to_owned(), by_tools.into());
    }
    (usage, rest)
}

/// The tokens of one modality in a list of `{"modality", "tokenCount"}`.
fn modality(raw: &Map<String, Value>, list: &str, kind: &str) -> u64 {
    let details = raw.get(list).and_then(Value::as_array).into_iter().flatten();
    details
        .filter(|detail| detail.get("modality").is_some_and(|modality| modality == kind))
        .filter_map(|detail| count(detail.get("tokenCount")?))
        .fold(0, u64::saturating_add)
}

/// Writes a usage object; what the provider told besides is laid under it.
pub(super) fn encode(usage: &Usage, rest: &Map<String, Value>) -> Value {
    let by_tools = rest.get(TOOL_USE).and_then(count).unwrap_or_default();
    let by_tools = by_tools.min(usage.total_input());
    let some = |n: u64| (n > 0).then(|| Value::from(n));
    let answer = usage.output.saturating_add(usage.audio_out);
    let mut written = object([
        ("promptTokenCount", Some((usage.total_input() - by_tools).into())),
        ("cachedContentTokenCount", some(usage.cache_read)),
        ("candidatesTokenCount", Some(answer.into())),
        (TOOL_USE, some(by_tools)),
        ("thoughtsTokenCount", some(usage.reasoning)),
        ("totalTokenCount", Some(usage.total().into())),
    ]);
    let sent = usage.total_input().saturating_sub(usage.audio_in).saturating_sub(usage.image_in);
    let prompt = [("TEXT", sent), ("AUDIO", usage.audio_in), ("IMAGE", usage.image_in)];
    let spoken = [("TEXT", usage.output), ("AUDIO", usage.audio_out)];
    if usage.audio_in > 0 || usage.image_in > 0 {
        written.insert("promptTokensDetails".to_owned(), details(&prompt));
    }
    if usage.audio_out > 0 {
        written.insert("candidatesTokensDetails".to_owned(), details(&spoken));
    }
    for (key, value) in rest {
        if key.ends_with("Details") || !written.contains_key(key) {
            written.insert(key.clone(), value.clone());
        }
    }
    Value::Object(written)
}

fn details(kinds: &[(&str, u64)]) -> Value {
    let some = kinds.iter().filter(|(_, n)| *n > 0);
    some.map(|(kind, n)| json!({"modality": kind, "tokenCount": n})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &Value) -> (Usage, Map<String, Value>) {
        decode(raw.as_object().unwrap())
    }

    #[test]
    fn counts_that_overlap_and_that_stand_beside_become_disjoint_and_go_back() {
        let raw = json!({
            "promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 20,
            "toolUsePromptTokenCount": 30, "thoughtsTokenCount": 7, "totalTokenCount": 157,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 60},
                {"modality": "AUDIO", "tokenCount": 30}, {"modality": "IMAGE", "tokenCount": 10}],
            "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 40}, {"modality": "AUDIO", "tokenCount": 20}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 15}, {"modality": "AUDIO", "tokenCount": 5}],
            "trafficType": "ON_DEMAND",
        });
        let (usage, rest) = read(&raw);
        let expected = Usage {
            input: 50,
            cache_read: 60,
            audio_in: 10,
            image_in: 10,
            output: 15,
            reasoning: 7,
            audio_out: 5,
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        assert_eq!(usage.total(), 157);
        assert_eq!(encode(&usage, &rest), raw);
    }

    #[test]
    fn impossible_numbers_never_become_credit_and_are_kept() {
        let (usage, rest) = read(&json!({"promptTokenCount": -5, "cachedContentTokenCount": 9,
            "candidatesTokenCount": "many", "thoughtsTokenCount": 2}));
        assert_eq!((usage.total_input(), usage.output, usage.reasoning), (0, 0, 2));
        assert_eq!(rest.get("promptTokenCount"), Some(&json!(-5)));
        let (huge, _) =
            read(&json!({"promptTokenCount": u64::MAX, "toolUsePromptTokenCount": u64::MAX,
            "candidatesTokenCount": u64::MAX, "thoughtsTokenCount": 1}));
        assert_eq!(huge.total(), u64::MAX);
        assert_eq!(read(&json!({})).0, Usage::default());
    }

    #[test]
    fn usage_of_another_provider_is_told_with_its_modalities() {
        let usage = Usage { input: 4, audio_in: 2, output: 3, ..Usage::default() };
        let expected = json!({"promptTokenCount": 6, "candidatesTokenCount": 3, "totalTokenCount": 9,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 2}]});
        assert_eq!(encode(&usage, &Map::new()), expected);
    }
}
