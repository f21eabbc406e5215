//! Usage: Anthropic's counts to the disjoint kinds and back.
//!
//! `input_tokens` leaves out what was read from a cache or written to one; thinking is part of
//! `output_tokens`. Numbers of the tokens in steps apart (`iterations`) stay where they are.

use serde_json::{Map, Value, json};
use tollgate_types::{GPU_MS, Usage};

use crate::dialects::{
    counts::{Counts, Share, count},
    merge::merge,
};

/// What ends the names of counted fees: `web_search_requests`.
const FEE_SUFFIX: &str = "_requests";

/// Reads a usage object. Numbers that are negative or unreadable count as zero and stay in the
/// rest, as does every field that has no kind.
pub(super) fn decode(raw: &Value) -> Option<(Usage, Map<String, Value>)> {
    let mut counts = Counts::of(raw)?;
    let mut take = |path: &[&str]| counts.take(&[path]);
    let input = take(&["input_tokens"]).unwrap_or_default();
    let cache_read = take(&["cache_read_input_tokens"]).unwrap_or_default();
    let written = take(&["cache_creation_input_tokens"]);
    let short = take(&["cache_creation", "ephemeral_5m_input_tokens"]).unwrap_or_default();
    let long = take(&["cache_creation", "ephemeral_1h_input_tokens"]).unwrap_or_default();
    let output = take(&["output_tokens"]).unwrap_or_default();
    let thought = take(&["output_tokens_details", "thinking_tokens"]).unwrap_or_default();
    let mut written = Share::of(written.unwrap_or_else(|| short.saturating_add(long)));
    let mut output = Share::of(output);
    let mut usage = Usage {
        input,
        cache_read,
        cache_write_1h: written.part(long),
        cache_write_5m: written.rest(),
        reasoning: output.part(thought),
        output: output.rest(),
        ..Usage::default()
    };
    let mut rest = counts.rest();
    take_fees(&mut rest, &mut usage);
    Some((usage, rest))
}

/// Takes the counted fees: `{"server_tool_use": {"web_search_requests": 2}}`.
fn take_fees(rest: &mut Map<String, Value>, usage: &mut Usage) {
    let Some(Value::Object(fees)) = rest.get_mut("server_tool_use") else { return };
    fees.retain(|name, value| {
        let tool = name.strip_suffix(FEE_SUFFIX).filter(|tool| !tool.is_empty());
        match (tool, count(value)) {
            (Some(tool), Some(calls)) => {
                if calls > 0 {
                    usage.tool_fees.insert(tool.to_owned(), calls);
                }
                false
            }
            _ => true,
        }
    });
    if fees.is_empty() {
        rest.shift_remove("server_tool_use");
    }
}

/// Writes the usage object of an answer, over the fields that have no kind.
pub(super) fn encode(usage: &Usage, rest: Option<&Map<String, Value>>) -> Value {
    let input = usage.input.saturating_add(usage.audio_in).saturating_add(usage.image_in);
    let counted = json!({
        "input_tokens": input,
        "cache_creation_input_tokens": usage.cache_write_5m.saturating_add(usage.cache_write_1h),
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.total_output(),
    });
    let mut written = rest.cloned().unwrap_or_default();
    if let Value::Object(counted) = counted {
        merge(&mut written, &counted);
    }
    let mut put = |key: &str, value: Value| {
        if let Value::Object(object) = json!({key: value}) {
            merge(&mut written, &object);
        }
    };
    if usage.reasoning > 0 {
        put("output_tokens_details", json!({"thinking_tokens": usage.reasoning}));
    }
    let tools = usage.tool_fees.iter().filter(|(fee, _)| *fee != GPU_MS);
    for (tool, calls) in tools {
        put("server_tool_use", json!({format!("{tool}{FEE_SUFFIX}"): calls}));
    }
    Value::Object(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &Value) -> Usage {
        decode(raw).unwrap().0
    }

    #[test]
    fn counts_become_disjoint_and_go_back() {
        let raw = json!({
            "input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 20,
            "cache_creation": {"ephemeral_5m_input_tokens": 25, "ephemeral_1h_input_tokens": 5},
            "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 40},
            "server_tool_use": {"web_search_requests": 2}, "service_tier": "standard",
        });
        let (usage, rest) = decode(&raw).unwrap();
        let expected = Usage {
            input: 10,
            cache_read: 20,
            cache_write_5m: 25,
            cache_write_1h: 5,
            output: 10,
            reasoning: 40,
            tool_fees: [("web_search".to_owned(), 2)].into(),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        assert_eq!(Value::Object(rest.clone()), json!({"service_tier": "standard"}));
        assert_eq!(encode(&usage, Some(&rest)), raw);
    }

    #[test]
    fn a_split_that_is_missing_or_contradicts_its_sum_is_settled_by_the_sum() {
        let unsplit = read(&json!({"input_tokens": 1, "cache_creation_input_tokens": 7}));
        assert_eq!((unsplit.cache_write_5m, unsplit.cache_write_1h), (7, 0));
        let odd = read(&json!({"cache_creation_input_tokens": 7,
            "cache_creation": {"ephemeral_5m_input_tokens": 9, "ephemeral_1h_input_tokens": 9}}));
        assert_eq!((odd.cache_write_5m, odd.cache_write_1h), (0, 7));
        let sumless = read(
            &json!({"cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}}),
        );
        assert_eq!((sumless.cache_write_5m, sumless.cache_write_1h), (2, 3));
    }

    #[test]
    fn time_is_no_request_of_a_tool() {
        let usage = Usage { tool_fees: [(GPU_MS.to_owned(), 250)].into(), ..Usage::tokens(1, 2) };
        assert!(encode(&usage, None).get("server_tool_use").is_none());
    }

    #[test]
    fn impossible_numbers_never_become_credit_and_are_kept() {
        let raw = json!({"input_tokens": -5, "output_tokens": 3, "output_tokens_details": {"thinking_tokens": 9},
            "server_tool_use": {"web_search_requests": -1}});
        let (usage, rest) = decode(&raw).unwrap();
        assert_eq!((usage.input, usage.output, usage.reasoning), (0, 0, 3));
        assert!(usage.tool_fees.is_empty());
        assert_eq!(rest.get("input_tokens"), Some(&json!(-5)));
        let huge = json!({"input_tokens": u64::MAX, "output_tokens": u64::MAX, "cache_read_input_tokens": u64::MAX});
        assert_eq!(read(&huge).total(), u64::MAX);
    }
}
