//! Tokens of one call, in kinds that do not overlap.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a call used. The kinds are disjoint: they sum to the provider's total, whatever overlapping
/// numbers the provider itself reports (OpenAI counts cached tokens inside the prompt, Anthropic
/// outside of it; each dialect maps to this form once).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Prompt tokens that were not served from a cache.
    pub input: u64,
    /// Prompt tokens read from a prompt cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read: u64,
    /// Prompt tokens written to a cache that lives five minutes.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_5m: u64,
    /// Prompt tokens written to a cache that lives an hour.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_1h: u64,
    /// Audio tokens of the prompt.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_in: u64,
    /// Image tokens of the prompt, where the provider reports them apart.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_in: u64,
    /// Visible output tokens, tool-call arguments included.
    pub output: u64,
    /// Hidden or separately shown reasoning tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning: u64,
    /// Audio tokens of the answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_out: u64,
    /// Counted fees of tools that the provider ran, by name (`web_search` -> 2 calls).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tool_fees: BTreeMap<String, u64>,
    /// True when the numbers were counted by Tollgate because the provider said nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

/// The fee that counts time: milliseconds that a model worked on the request, in
/// [`Usage::tool_fees`].
pub const GPU_MS: &str = "gpu_ms";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Usage {
    /// A plain text call: `input` prompt tokens, `output` answer tokens.
    pub fn tokens(input: u64, output: u64) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// All prompt tokens, cached or not.
    pub fn total_input(&self) -> u64 {
        [self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_in, self.image_in]
            .into_iter()
            .fold(self.input, u64::saturating_add)
    }

    /// All tokens the model produced.
    pub fn total_output(&self) -> u64 {
        self.output.saturating_add(self.reasoning).saturating_add(self.audio_out)
    }

    /// Every token, in and out.
    pub fn total(&self) -> u64 {
        self.total_input().saturating_add(self.total_output())
    }

    /// True when nothing at all was used.
    pub fn is_empty(&self) -> bool {
        self.total() == 0 && self.tool_fees.values().all(|n| *n == 0)
    }

    /// Adds another call's usage, kind by kind; stops at the largest number instead of wrapping.
    pub fn add(&mut self, other: &Self) {
        let kinds = [
            (&mut self.input, other.input),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write_5m, other.cache_write_5m),
            (&mut self.cache_write_1h, other.cache_write_1h),
            (&mut self.audio_in, other.audio_in),
            (&mut self.image_in, other.image_in),
            (&mut self.output, other.output),
            (&mut self.reasoning, other.reasoning),
            (&mut self.audio_out, other.audio_out),
        ];
        for (mine, theirs) in kinds {
            *mine = mine.saturating_add(theirs);
        }
        for (tool, calls) in &other.tool_fees {
            let mine = self.tool_fees.entry(tool.clone()).or_default();
            *mine = mine.saturating_add(*calls);
        }
        self.estimated |= other.estimated;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_sum_to_the_total() {
        let usage = Usage {
            input: 1,
            cache_read: 2,
            cache_write_5m: 4,
            cache_write_1h: 8,
            audio_in: 16,
            image_in: 32,
            output: 64,
            reasoning: 128,
            audio_out: 256,
            ..Usage::default()
        };
        assert_eq!((usage.total_input(), usage.total_output(), usage.total()), (63, 448, 511));
        let mut twice = usage.clone();
        twice.add(&usage);
        assert_eq!(twice.total(), 1022);
    }

    #[test]
    fn absurd_numbers_do_not_wrap() {
        let mut usage = Usage::tokens(u64::MAX, u64::MAX);
        usage.add(&Usage::tokens(1, 1));
        assert_eq!(usage.total(), u64::MAX);
    }

    #[test]
    fn kinds_that_are_zero_stay_off_the_wire() {
        let json = serde_json::to_string(&Usage::tokens(3, 4)).unwrap();
        assert_eq!(json, r#"{"input":3,"output":4}"#);
    }
}
