//! Tokens by kind, as entries and their sums hold them.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use tollgate_types::Usage;

/// Tokens by disjoint kind; see [`Usage`] for what each one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromRow)]
#[serde(default)]
pub struct Tokens {
    /// Uncached prompt tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub input: i64,
    /// Prompt tokens read from a cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read: i64,
    /// Prompt tokens written to a five-minute cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_5m: i64,
    /// Prompt tokens written to a one-hour cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_1h: i64,
    /// Audio prompt tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_in: i64,
    /// Image prompt tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_in: i64,
    /// Visible output tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub output: i64,
    /// Reasoning tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning: i64,
    /// Audio output tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub audio_out: i64,
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl Tokens {
    /// How many kinds there are.
    pub(super) const KINDS: usize = 9;

    /// The counts in the order of the columns.
    pub(super) fn in_order(&self) -> [i64; Self::KINDS] {
        [
            self.input,
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.audio_in,
            self.image_in,
            self.output,
            self.reasoning,
            self.audio_out,
        ]
    }

    /// The counts in the order of the columns, as [`Tokens::in_order`] tells them; none of those
    /// that are left out at the end.
    pub(super) fn of(counts: impl IntoIterator<Item = i64>) -> Self {
        let mut tokens = Self::default();
        tokens.each().into_iter().zip(counts).for_each(|(mine, count)| *mine = count);
        tokens
    }

    /// Adds other counts, kind by kind.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.each().into_iter().zip(other.in_order()) {
            *mine = mine.saturating_add(theirs);
        }
    }

    fn each(&mut self) -> [&mut i64; Self::KINDS] {
        [
            &mut self.input,
            &mut self.cache_read,
            &mut self.cache_write_5m,
            &mut self.cache_write_1h,
            &mut self.audio_in,
            &mut self.image_in,
            &mut self.output,
            &mut self.reasoning,
            &mut self.audio_out,
        ]
    }
}

impl From<&Usage> for Tokens {
    fn from(usage: &Usage) -> Self {
        let whole = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        Self {
            input: whole(usage.input),
            cache_read: whole(usage.cache_read),
            cache_write_5m: whole(usage.cache_write_5m),
            cache_write_1h: whole(usage.cache_write_1h),
            audio_in: whole(usage.audio_in),
            image_in: whole(usage.image_in),
            output: whole(usage.output),
            reasoning: whole(usage.reasoning),
            audio_out: whole(usage.audio_out),
        }
    }
}

/// Fees and the mark of an estimate are not among the tokens.
impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let count = |tokens: i64| u64::try_from(tokens).unwrap_or_default();
        Self {
            input: count(tokens.input),
            cache_read: count(tokens.cache_read),
            cache_write_5m: count(tokens.cache_write_5m),
            cache_write_1h: count(tokens.cache_write_1h),
            audio_in: count(tokens.audio_in),
            image_in: count(tokens.image_in),
            output: count(tokens.output),
            reasoning: count(tokens.reasoning),
            audio_out: count(tokens.audio_out),
            ..Self::default()
        }
    }
}
