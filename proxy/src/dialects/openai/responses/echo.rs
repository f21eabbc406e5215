//! What an answer repeats of its request: clients read the format of the text, the tools and the
//! choice among them from there.

use serde_json::{Map, Value, json};

use crate::dialects::fields::Fields;

/// Fields of a request that stand in its answer too.
pub(super) const ECHOED: [&str; 24] = [
    "background",
    "conversation",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// What an answer repeats of its request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Echo(Map<String, Value>);

impl Echo {
    /// What the answer to a request repeats.
    pub(super) fn of(fields: &Fields) -> Self {
        let said = |key: &str| Some((key.to_owned(), fields.peek(key)?.clone()));
        Self(ECHOED.into_iter().filter_map(said).collect())
    }

    /// The fields, with OpenAI's values for what the request did not say. Nothing is stored here,
    /// so `store` is not true unless it was asked for.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let usual = json!({
            "background": false, "instructions": null, "max_output_tokens": null,
            "max_tool_calls": null, "metadata": {}, "parallel_tool_calls": true,
            "previous_response_id": null, "reasoning": {"effort": null, "summary": null},
            "store": false, "temperature": 1.0, "text": {"format": {"type": "text"}},
            "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 1.0,
            "truncation": "disabled", "user": null,
        });
        let Value::Object(mut fields) = usual else { return Map::new() };
        fields.extend(self.0.clone());
        if let Some(Value::Object(text)) = fields.get_mut("text") {
            text.entry("format").or_insert_with(|| json!({"type": "text"}));
        }
        fields
    }
}
