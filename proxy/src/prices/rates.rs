//! Rates of a model and the list of all of them.

use crate::{
    access::{Pattern, Target},
    config::{Amounts, PriceEntry},
    registry::Registry,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
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
    /// What all tokens of a call with a long prompt cost instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<Box<LongRates>>,
}

/// The rates of calls whose prompt is longer than a threshold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongRates {
    /// Prompts of more tokens than this are long.
    pub above: u64,
    /// Their rates, which have no fee and no threshold of their own.
    pub rates: Rates,
}

impl Rates {
    fn read(entry: &PriceEntry) -> Result<Self, MoneyParseError> {
        let fee = entry.per_request.as_deref().map_or(Ok(0), nano_usd)?;
        let long = entry.long_context.as_ref().map(|long| {
            let rates = Self::of_tokens(long.amounts())?;
            Ok(Box::new(LongRates { above: long.above, rates }))
        });
        let rates = Self::of_tokens(entry.amounts())?;
        Ok(Self { per_request: fee, long: long.transpose()?, ..rates })
    }

    fn of_tokens(amounts: Amounts<'_>) -> Result<Self, MoneyParseError> {
        let (input, output) = (nano_usd(amounts.input)?, nano_usd(amounts.output)?);
        let or =
            |text: Option<&String>, otherwise| text.map_or(Ok(otherwise), |text| nano_usd(text));
        let [cache_read, cache_write_5m, cache_write_1h, audio_in, image_in] = amounts.inputs;
        let [reasoning, audio_out] = amounts.outputs;
        Ok(Self {
            input,
            cache_read: or(cache_read, input)?,
            cache_write_5m: or(cache_write_5m, input)?,
            cache_write_1h: or(cache_write_1h, input)?,
            audio_in: or(audio_in, input)?,
            image_in: or(image_in, input)?,
            output,
            reasoning: or(reasoning, output)?,
            audio_out: or(audio_out, output)?,
            per_request: 0,
            long: None,
        })
    }

    /// The exact cost of a call, rounded up to a nano-dollar.
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let prompt = [
            usage.input,
            usage.cache_read,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.audio_in,
            usage.image_in,
        ];
        let rates = self.long(prompt.into_iter().fold(0, u64::saturating_add)).unwrap_or(self);
        let kinds = [
            (usage.input, rates.input),
            (usage.cache_read, rates.cache_read),
            (usage.cache_write_5m, rates.cache_write_5m),
            (usage.cache_write_1h, rates.cache_write_1h),
            (usage.audio_in, rates.audio_in),
            (usage.image_in, rates.image_in),
            (usage.output, rates.output),
            (usage.reasoning, rates.reasoning),
            (usage.audio_out, rates.audio_out),
        ];
        let millionths = kinds
            .into_iter()
            .map(|(tokens, rate)| i128::from(tokens).saturating_mul(i128::from(rate)))
            .fold(0, i128::saturating_add);
        NanoUsd(to_i64(round_up(millionths) + i128::from(self.per_request)))
    }

    /// The dearest rate that a token of a prompt of at most so many tokens could have.
    pub(super) fn dearest_input(&self, prompt: u64) -> i64 {
        let own = [
            self.cache_read,
            self.cache_write_5m,
            self.cache_write_1h,
            self.audio_in,
            self.image_in,
        ];
        let own = own.into_iter().fold(self.input, i64::max);
        self.long(prompt).map_or(own, |long| own.max(long.dearest_input(0)))
    }

    /// The dearest rate that an output token could have after a prompt of at most so many tokens.
    pub(super) fn dearest_output(&self, prompt: u64) -> i64 {
        let own = self.output.max(self.reasoning).max(self.audio_out);
        self.long(prompt).map_or(own, |long| own.max(long.dearest_output(0)))
    }

    /// The rates of a long prompt, if one of so many tokens is long.
    fn long(&self, prompt: u64) -> Option<&Self> {
        self.long.as_deref().filter(|long| prompt > long.above).map(|long| &long.rates)
    }
}

fn nano_usd(text: &str) -> Result<i64, MoneyParseError> {
    text.parse::<NanoUsd>().map(|amount| amount.0)
}

/// Divides by a million, upwards.
pub(super) fn round_up(millionths: i128) -> i128 {
    millionths.saturating_add(PER - 1) / PER
}

/// Stops at the largest amount.
pub(super) fn to_i64(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// The rates of every priced model: the operator's prices, then the vendors' list prices.
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    entries: Vec<(Pattern, Arc<Rates>, PriceEntry)>,
    registry: Registry,
}

impl PriceList {
    /// Reads the configuration's prices; the first entry that fits a model counts.
    ///
    /// # Errors
    /// When an amount is not decimal dollars.
    pub fn new(prices: &[PriceEntry]) -> Result<Self, MoneyParseError> {
        let read = |price: &PriceEntry| {
            Ok((Pattern(price.model.clone()), Arc::new(Rates::read(price)?), price.clone()))
        };
        let entries = prices.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { entries, registry: Registry::default() })
    }

    /// With the list prices of a registry for every model that the operator's prices leave out.
    #[must_use]
    pub fn or_listed(self, registry: Registry) -> Self {
        Self { registry, ..self }
    }

    /// Rates of a model, if it has a price.
    pub fn of(&self, target: &Target) -> Option<Arc<Rates>> {
        if let Some((_, rates, _)) = self.own(target) {
            return Some(Arc::clone(rates));
        }
        Rates::read(self.listed(target)?).ok().map(Arc::new)
    }

    /// The price of a model, as the operator or the registry wrote it.
    pub fn text_of(&self, target: &Target) -> Option<&PriceEntry> {
        self.own(target).map(|(_, _, text)| text).or_else(|| self.listed(target))
    }

    fn own(&self, target: &Target) -> Option<&(Pattern, Arc<Rates>, PriceEntry)> {
        let name = target.to_string();
        self.entries.iter().find(|(pattern, ..)| pattern.matches(&name))
    }

    fn listed(&self, target: &Target) -> Option<&'static PriceEntry> {
        self.registry.list_price(&target.provider, &target.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};
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

    #[test]
    fn every_token_of_a_call_with_a_long_prompt_costs_more() {
        let price = "model = \"a/b\"\ninput = \"1\"\noutput = \"2\"\ncache_read = \"0.1\"\n\
            per_request = \"0.5\"\n\
            [long_context]\nabove = 100\ninput = \"3\"\noutput = \"4\"\ncache_read = \"0.2\"\n";
        let rates = Rates::read(&toml::from_str(price).unwrap()).unwrap();
        let usage = |input, cache_read| Usage { cache_read, ..Usage::tokens(input, 10) };
        let fee = 500_000_000;
        assert_eq!(rates.cost(&usage(90, 10)), NanoUsd(fee + 90_000 + 1_000 + 20_000));
        assert_eq!(rates.cost(&usage(90, 11)), NanoUsd(fee + 270_000 + 2_200 + 40_000));
        let dearest = |prompt| (rates.dearest_input(prompt), rates.dearest_output(prompt));
        assert_eq!(dearest(100), (1_000_000_000, 2_000_000_000));
        assert_eq!(dearest(101), (3_000_000_000, 4_000_000_000));
        // Entries of open calls carry their rates: they are read again after a crash.
        let written = serde_json::to_string(&rates).unwrap();
        assert_eq!(serde_json::from_str::<Rates>(&written).unwrap(), rates);
    }

    #[test]
    fn the_operators_price_comes_before_the_vendors_and_a_stranger_has_none() {
        let config = "[[providers]]\nname = \"openai\"\nkind = \"openai\"\n\
            [[providers]]\nname = \"host\"\nkind = \"openai\"\nbase_url = \"https://h.example\"\n\
            [[prices]]\nmodel = \"openai/gpt-4o\"\ninput = \"7\"\noutput = \"8\"\n";
        let config =
            Config::parse(std::path::Path::new("t.toml"), config, &Environment::default()).unwrap();
        let list = PriceList::new(&config.prices).unwrap().or_listed(Registry::of(&config));
        let input = |provider: &str, model: &str| {
            let target = Target { provider: provider.into(), model: model.into() };
            let text = list.text_of(&target).map(|price| price.input.clone());
            assert_eq!(text.is_some(), list.of(&target).is_some());
            text
        };
        assert_eq!(input("openai", "gpt-4o").as_deref(), Some("7"));
        assert_eq!(input("openai", "gpt-4o-mini").as_deref(), Some("0.15"));
        assert_eq!(input("openai", "gpt-4o-mini-2024-07-18").as_deref(), Some("0.15"));
        assert_eq!(input("openai", "not-known-yet"), None);
        assert_eq!(input("host", "gpt-4o"), None);
    }

    proptest! {
        #[test]
        fn no_usage_wraps_or_costs_less_than_nothing(input: u64, output: u64, rate in 0..i64::MAX) {
            let rates = Rates { input: rate, output: rate, ..Rates::default() };
            prop_assert!(rates.cost(&Usage::tokens(input, output)).0 >= 0);
        }
    }
}
