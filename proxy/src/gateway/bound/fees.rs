//! What tools that the provider runs can be called for a request, and how often at most.

use super::unseen;
use crate::{dialects::openai, prices::FeeBounds};
use serde_json::{Map, Value};
use tollgate_types::{GenerateRequest, HostedTool, Tool};

/// How often a tool is assumed to be called at most where the request sets no limit. Answers with
/// two dozen searches have been published; whoever needs more budget for fewer says `max_uses`
/// (Anthropic) or `max_tool_calls` (OpenAI).
const ASSUMED_CALLS: u64 = 32;

/// Bounds the counted fees of a request.
pub(in crate::gateway) fn of_request(request: &GenerateRequest) -> FeeBounds {
    let choices = u64::from(request.choices.unwrap_or(1).max(1));
    let own = request.extras.get(openai::NAMESPACE);
    let in_all = own.and_then(|own| own.get("max_tool_calls")?.as_u64()).unwrap_or(u64::MAX);
    let mut fees = FeeBounds::default();
    for tool in &request.tools {
        let Tool::Hosted(tool) = tool else { continue };
        if !unseen::is_run_by_the_provider(tool) {
            continue;
        }
        let (name, config) = named(tool);
        let own = ["max_uses", "maxUses"].into_iter().find_map(|key| config.get(key)?.as_u64());
        let calls = own.unwrap_or(ASSUMED_CALLS).min(in_all).saturating_mul(choices);
        match name.as_str() {
            // Google charges by search for its newer models, by prompt for the older ones.
            "google_search" | "google_search_retrieval" => {
                fees.add(&[("google_search", calls), ("grounded_prompt", choices)]);
            }
            "google_maps" => fees.add(&[("google_maps", choices)]),
            name => fees.add(&[(name, calls)]),
        }
    }
    fees
}

/// The name of a tool's fee, and its settings: `web_search_20250305` is `web_search`, and Google's
/// `{"googleSearch": {}}` is `google_search`.
fn named(tool: &HostedTool) -> (String, &Map<String, Value>) {
    if let Some(kind) = tool.config.get("type").and_then(Value::as_str) {
        return (base(kind).to_owned(), &tool.config);
    }
    let Some((name, inner)) = tool.config.iter().next() else {
        return ("unnamed".to_owned(), &tool.config);
    };
    (snake(name), inner.as_object().unwrap_or(&tool.config))
}

/// A kind without the day of its version: `_20250305`, `_2025_08_26`. The ways to search for tools
/// and to reach servers of tools are one each.
fn base(kind: &str) -> &str {
    let dated = |length: usize| {
        let (base, day) = kind.split_at_checked(kind.len().checked_sub(length)?)?;
        let digits = day.bytes().filter(u8::is_ascii_digit).count();
        let day_only = day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
        (day.starts_with('_') && digits == 8 && day_only).then_some(base)
    };
    let base = dated("_2025_08_26".len()).or_else(|| dated("_20250305".len())).unwrap_or(kind);
    match base {
        "mcp_toolset" => "mcp",
        base if base.starts_with("tool_search") => "tool_search",
        base => base,
    }
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bounds(tools: Value, more: Value) -> FeeBounds {
        let mut request = json!({"model": "p/m", "messages": [], "tools": tools});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        of_request(&serde_json::from_value(request).unwrap())
    }

    fn hosted(config: Value) -> Value {
        json!({"type": "hosted", "api": "a", "config": config})
    }

    #[test]
    fn tools_that_the_provider_runs_are_bounded_by_their_own_limit_or_by_the_assumed_one() {
        let none = json!({});
        for (config, fee, calls) in [
            (json!({"type": "web_search_20250305", "max_uses": 3}), "web_search", 3),
            (json!({"type": "web_search"}), "web_search", ASSUMED_CALLS),
            (json!({"type": "web_search_2025_08_26"}), "web_search", ASSUMED_CALLS),
            (json!({"type": "web_search_preview_2025_03_11"}), "web_search_preview", ASSUMED_CALLS),
            (json!({"type": "tool_search_tool_bm25_20251119"}), "tool_search", ASSUMED_CALLS),
            (json!({"googleSearch": {}}), "google_search", ASSUMED_CALLS),
            (json!({"google_search": {}}), "grounded_prompt", 1),
            (json!({"googleMaps": {}}), "google_maps", 1),
            (json!({"type": "web_search", "max_uses": -3}), "web_search", ASSUMED_CALLS),
        ] {
            let bounds = bounds(json!([hosted(config.clone())]), none.clone());
            assert_eq!(bounds.most(fee), Some(calls), "{config}");
        }
        let twice = bounds(
            json!([hosted(json!({"type": "web_search", "max_uses": 2}))]),
            json!({"choices": 3}),
        );
        assert_eq!(twice.most("web_search"), Some(6));
        let limited = bounds(
            json!([hosted(json!({"type": "file_search"}))]),
            json!({"extras": {"openai": {"max_tool_calls": 5}}}),
        );
        assert_eq!(limited.most("file_search"), Some(5));
    }

    #[test]
    fn functions_and_tools_that_the_caller_runs_cost_nothing() {
        let function = json!({"type": "function", "name": "f", "parameters": {}});
        let shell = hosted(json!({"type": "bash_20250124"}));
        assert_eq!(bounds(json!([function, shell]), json!({})), FeeBounds::default());
    }
}
