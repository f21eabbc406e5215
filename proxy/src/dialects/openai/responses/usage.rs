//! Usage: OpenAI's overlapping counts to the disjoint kinds and back.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use tollgate_types::Usage;

use crate::dialects::{
    counts::{Counts, Share, count},
    merge::object,
};

/// Reads a usage object, and what has no kind. Tokens that only the total knows were generated.
pub(super) fn decode(raw: &Value) -> Option<(Usage, Map<String, Value>)> {
    let mut counts = Counts::of(raw)?;
    let mut of = |path: &[&str]| counts.take(&[path]).unwrap_or_default();
    let (prompt, completion) = (of(&["input_tokens"]), of(&["output_tokens"]));
    let total = of(&["total_tokens"]);
    let cached = of(&["input_tokens_details", "cached_tokens"]);
    let written = of(&["input_tokens_details", "cache_write_tokens"]);
    let heard = of(&["input_tokens_details", "audio_tokens"]);
    let seen = of(&["input_tokens_details", "image_tokens"]);
    let thought = of(&["output_tokens_details", "reasoning_tokens"]);
    let spoken = of(&["output_tokens_details", "audio_tokens"]);

    let hidden = total.saturating_sub(prompt.saturating_add(completion));
    let mut input = Share::of(prompt);
    let mut output = Share::of(completion.saturating_add(hidden));
    let usage = Usage {
        cache_read: input.part(cached),
        cache_write_5m: input.part(written),
        audio_in: input.part(heard),
        image_in: input.part(seen),
        input: input.rest(),
        reasoning: output.part(thought.max(hidden)),
        audio_out: output.part(spoken),
        output: output.rest(),
        ..Usage::default()
    };
    Some((usage, counts.rest()))
}

/// Calls of tools that were charged for, by tool, where the host counts them (xAI does). Its count
/// is better than that of the items: not every call is told as one.
pub(super) fn fees(raw: &Value) -> Option<BTreeMap<String, u64>> {
    let details = raw.get("server_side_tool_usage_details")?.as_object()?;
    let fee = |(name, value): (&String, &Value)| {
        let calls = name.strip_suffix("_calls");
        let fee = calls.or_else(|| name.ends_with("_fetched").then_some(name.as_str()))?;
        Some((fee.to_owned(), count(value).filter(|count| *count > 0)?))
    };
    Some(details.iter().filter_map(fee).collect())
}

/// Writes the usage object of an answer.
pub(super) fn encode(usage: &Usage) -> Map<String, Value> {
    let written = usage.cache_write_5m.saturating_add(usage.cache_write_1h);
    let some = |count: u64| (count > 0).then(|| count.into());
    let input = object([
        ("cached_tokens", Some(usage.cache_read.into())),
        ("cache_write_tokens", Some(written.into())),
        ("audio_tokens", some(usage.audio_in)),
        ("image_tokens", some(usage.image_in)),
    ]);
    let output = object([
        ("reasoning_tokens", Some(usage.reasoning.into())),
        ("audio_tokens", some(usage.audio_out)),
    ]);
    Map::from_iter([
        ("input_tokens".to_owned(), usage.total_input().into()),
        ("input_tokens_details".to_owned(), input.into()),
        ("output_tokens".to_owned(), usage.total_output().into()),
        ("output_tokens_details".to_owned(), output.into()),
        ("total_tokens".to_owned(), usage.total().into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn overlapping_counts_become_disjoint_and_go_back() {
        let raw = json!({
            "input_tokens": 100, "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 5},
            "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 30}, "total_tokens": 150,
        });
        let (usage, rest) = decode(&raw).unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.cache_write_5m), (35, 60, 5));
        assert_eq!((usage.output, usage.reasoning, usage.total()), (20, 30, 150));
        assert!(rest.is_empty());
        assert_eq!(Value::Object(encode(&usage)), raw);
    }

    #[test]
    fn a_host_that_counts_calls_is_believed_more_than_its_items() {
        let counted = json!({"input_tokens": 1, "server_side_tool_usage_details": {
            "web_search_calls": 2, "x_search_calls": 0, "mcp_calls": -1, "x_posts_fetched": 7}});
        let expected =
            BTreeMap::from([("web_search".to_owned(), 2), ("x_posts_fetched".to_owned(), 7)]);
        assert_eq!(fees(&counted), Some(expected));
        assert_eq!(fees(&json!({"input_tokens": 1})), None);
    }

    #[test]
    fn impossible_numbers_never_become_credit_and_are_kept() {
        let raw = json!({"input_tokens": -5, "output_tokens": 3, "total_tokens": 1, "cost": 2,
            "input_tokens_details": {"cached_tokens": 9},
            "output_tokens_details": {"reasoning_tokens": 7}});
        let (usage, rest) = decode(&raw).unwrap();
        assert_eq!((usage.total(), usage.reasoning), (3, 3));
        assert_eq!(Value::Object(rest), json!({"input_tokens": -5, "cost": 2}));
        assert!(decode(&Value::Null).is_none());
    }
}
