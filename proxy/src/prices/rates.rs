//! Rates of a model and the list of all of them.

use crate::{
    access::{Pattern, Target},
    config::PriceEntry,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use tollgate_types::{MoneyParseError, NanoUsd, Usage};

/// Tokens that a rate is for.
const PER: i128 = 1_000_000;

/// What one model costs: nano-dollars per million tokens of each kind, and per request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Uncached prompt tokens.
    pub input: i64,
    /// Prompt tokens read from a cache.
    pub cache_read: i64,
    /// Prompt tokens written to a five-minute cache.
    pub cache_write_5m: i64,
    /// Prompt tokens written to a one-hour cache.
    pub cache_write_1h: i64,
    /// Audio prompt tokens.
    pub audio_in: i64,
    /// Image prompt tokens.
    pub image_in: i64,
    /// Visible output tokens.
    pub output: i64,
    /// Reasoning tokens.
    pub reasoning: i64,
    /// Audio output tokens.
    pub audio_out: i64,
    /// Every request.
    pub per_request: i64,
}

impl Rates {
    fn read(entry: &PriceEntry) -> Result<Self, MoneyParseError> {
        let read = |text: &str| text.parse::<NanoUsd>().map(|amount| amount.0);
        let input = read(&entry.input)?;
        let output = read(&entry.output)?;
        let or = |text: &Option<String>, otherwise| text.as_deref().map_or(Ok(otherwise), read);
        Ok(Self {
            input,
            cache_read: or(&entry.cache_read, input)?,
            cache_write_5m: or(&entry.cache_write_5m, input)?,
            cache_write_1h: or(&entry.cache_write_1h, input)?,
            audio_in: or(&entry.audio_in, input)?,
            image_in: or(&entry.image_in, input)?,
            output,
            reasoning: or(&entry.reasoning, output)?,
            audio_out: or(&entry.audio_out, output)?,
            per_request: or(&entry.per_request, 0)?,
        })
    }

    /// The exact cost of a call, rounded up to a nano-dollar.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let kinds = [
            (usage.input, self.input),
            (usage.cache_read, self.cache_read),
            (usage.cache_write_5m, self.cache_write_5m),
            (usage.cache_write_1h, self.cache_write_1h),
            (usage.audio_in, self.audio_in),
            (usage.image_in, self.image_in),
            (usage.output, self.output),
            (usage.reasoning, self.reasoning),
            (usage.audio_out, self.audio_out),
        ];
        let millionths = kinds
            .into_iter()
            .map(|(tokens, rate)| i128::from(tokens).saturating_mul(i128::from(rate)))
            .fold(0, i128::saturating_add);
        NanoUsd(to_i64(round_up(millionths) + i128::from(self.per_request)))
    }

    /// The dearest rate that a prompt token could have.
    pub(super) fn dearest_input(&self) -> i64 {
        [self.cache_read, self.cache_write_5m, self.cache_write_1h, self.audio_in, self.image_in]
            .into_iter()
            .fold(self.input, i64::max)
    }

    /// The dearest rate that an output token could have.
    pub(super) fn dearest_output(&self) -> i64 {
        self.output.max(self.reasoning).max(self.audio_out)
    }
}

/// Divides by a million, upwards.
pub(super) fn round_up(millionths: i128) -> i128 {
    millionths.saturating_add(PER - 1) / PER
}

/// Stops at the largest amount.
pub(super) fn to_i64(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// The rates of every priced model.
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    entries: Vec<(Pattern, Arc<Rates>)>,
    texts: BTreeMap<String, PriceEntry>,
}

impl PriceList {
    /// Reads the configuration's prices; the first entry that fits a model counts.
    ///
    /// # Errors
    /// When an amount is not decimal dollars.
    pub fn new(prices: &[PriceEntry]) -> Result<Self, MoneyParseError> {
        let mut list = Self::default();
        for price in prices {
            let pattern = Pattern(price.model.clone());
            list.entries.push((pattern, Arc::new(Rates::read(price)?)));
            list.texts.entry(price.model.clone()).or_insert_with(|| price.clone());
        }
        Ok(list)
    }

    /// Rates of a model, if it has a price.
    pub fn of(&self, target: &Target) -> Option<Arc<Rates>> {
        self.fitting(target).map(|(_, rates)| Arc::clone(rates))
    }

    /// The price of a model as the operator wrote it.
    pub fn text_of(&self, target: &Target) -> Option<&PriceEntry> {
        self.fitting(target).and_then(|(pattern, _)| self.texts.get(&pattern.0))
    }

    fn fitting(&self, target: &Target) -> Option<&(Pattern, Arc<Rates>)> {
        let name = target.to_string();
        self.entries.iter().find(|(pattern, _)| pattern.matches(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rates(input: &str, output: &str) -> Rates {
        let entry = PriceEntry {
            model: "a/b".into(),
            input: input.into(),
            output: output.into(),
            ..PriceEntry::default()
        };
        Rates::read(&entry).unwrap()
    }

    #[test]
    fn cost_is_exact_and_rounds_up_once() {
        // 0.15 and 0.60 dollars a million are 150 and 600 nano-dollars a token.
        assert_eq!(rates("0.15", "0.60").cost(&Usage::tokens(1000, 10)), NanoUsd(156_000));
        // Half a nano-dollar a token: two tokens are one nano-dollar, one rounds up.
        assert_eq!(rates("0.0005", "0").cost(&Usage::tokens(2, 0)), NanoUsd(1));
        assert_eq!(rates("0.0005", "0.0005").cost(&Usage::tokens(1, 1)), NanoUsd(1));
        assert_eq!(rates("0.0005", "0").cost(&Usage::tokens(1, 0)), NanoUsd(1));
    }

    #[test]
    fn the_first_entry_that_fits_counts() {
        let entry = |model: &str, input: &str| PriceEntry {
            model: model.into(),
            input: input.into(),
            output: "1".into(),
            ..PriceEntry::default()
        };
        let list = PriceList::new(&[entry("o/mini", "1"), entry("o/*", "2")]).unwrap();
        let of = |model: &str| {
            list.of(&Target { provider: "o".into(), model: model.into() }).map(|r| r.input)
        };
        assert_eq!((of("mini"), of("large")), (Some(1_000_000_000), Some(2_000_000_000)));
        assert!(list.of(&Target { provider: "p".into(), model: "mini".into() }).is_none());
    }

    proptest! {
        #[test]
        fn no_usage_wraps_or_costs_less_than_nothing(input: u64, output: u64, rate in 0..i64::MAX) {
            let rates = Rates { input: rate, output: rate, ..Rates::default() };
            prop_assert!(rates.cost(&Usage::tokens(input, output)).0 >= 0);
        }
    }
}
