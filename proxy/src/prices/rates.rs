//! Rates of a model: what exactly a call costs.

use crate::config::{Amounts, PriceEntry};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::OnceLock};
use tollgate_types::{GPU_MS, MoneyParseError, NanoUsd, Usage};

/// Tokens that a rate is for.
const PER: i128 = 1_000_000;
/// Calls of a tool, and milliseconds, that a rate is for, as a share of [`PER`].
const PER_THOUSAND: i128 = PER / 1_000;
/// How long a model may work where time costs something and the price sets no other limit.
const MAX_SECONDS: u32 = 600;

/// What one model costs: nano-dollars per million tokens of each kind, per thousand calls of tools,
/// per second, and per request.
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
    /// Which price this is: `db:` and its id, `file:` and a hash of its text, or `list:` and the day
    /// on which it was read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// A thousand calls of tools that the provider runs, by the name of their fee.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, i64>,
    /// Time that the model works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeRate>,
    /// All of this as JSON; see [`Rates::json`].
    #[serde(skip)]
    pub text: RatesText,
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

/// What the time of a model costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRate {
    /// Nano-dollars per second.
    pub second: i64,
    /// How many seconds a model may work on one request.
    pub max_seconds: u32,
}

/// A text that is made once and means nothing by itself: a copy begins without it, and two of them
/// are always equal.
#[derive(Debug, Default)]
pub struct RatesText(OnceLock<String>);

impl Clone for RatesText {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for RatesText {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for RatesText {}

impl Rates {
    /// The rates as JSON, as every entry keeps those that it was charged by.
    pub fn json(&self) -> &str {
        self.text.0.get_or_init(|| serde_json::to_string(self).unwrap_or_default())
    }

    /// Reads a price.
    ///
    /// # Errors
    /// When an amount is not decimal dollars.
    pub fn read(entry: &PriceEntry) -> Result<Self, MoneyParseError> {
        let fee = entry.per_request.as_deref().map_or(Ok(0), nano_usd)?;
        let max_seconds = entry.max_seconds.unwrap_or(MAX_SECONDS);
        let time = entry
            .gpu_second
            .as_deref()
            .map(|second| Ok(TimeRate { second: nano_usd(second)?, max_seconds }));
        let tools = entry.tools.iter().map(|(tool, fee)| Ok((tool.clone(), nano_usd(fee)?)));
        let long = entry.long_context.as_ref().map(|long| {
            let rates = Self::of_tokens(long.amounts())?;
            Ok(Box::new(LongRates { above: long.above, rates }))
        });
        let rates = Self::of_tokens(entry.amounts())?;
        Ok(Self {
            per_request: fee,
            tools: tools.collect::<Result<_, _>>()?,
            time: time.transpose()?,
            long: long.transpose()?,
            ..rates
        })
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
            ..Self::default()
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
            .fold(self.fees(&usage.tool_fees), i128::saturating_add);
        NanoUsd(to_i64(round_up(millionths).saturating_add(i128::from(self.per_request))))
    }

    /// What counted fees cost, in millionths of nano-dollars. A tool without a price is free here:
    /// where a cost budget counts, such a call is not made.
    pub(super) fn fees(&self, counts: &BTreeMap<String, u64>) -> i128 {
        let cost = |(fee, count): (&String, &u64)| self.fee(fee, *count);
        counts.iter().map(cost).fold(0, i128::saturating_add)
    }

    /// One counted fee, in millionths of nano-dollars.
    pub(super) fn fee(&self, fee: &str, count: u64) -> i128 {
        let rate = match (fee, &self.time) {
            (GPU_MS, Some(time)) => time.second,
            (GPU_MS, None) => 0,
            (tool, _) => self.tools.get(tool).copied().unwrap_or_default(),
        };
        i128::from(count).saturating_mul(i128::from(rate)).saturating_mul(PER_THOUSAND)
    }

    /// The most milliseconds that a model may work on a request, where they cost something.
    pub fn max_ms(&self) -> Option<u64> {
        self.time.map(|time| u64::from(time.max_seconds).saturating_mul(1_000))
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
    fn tools_cost_by_the_thousand_and_time_by_the_second() {
        let price = "model = \"a/b\"\ninput = \"1\"\noutput = \"2\"\ngpu_second = \"0.0006\"\n\
            tools = { web_search = \"10\", file_search = \"2.5\" }\n";
        let rates = Rates::read(&toml::from_str(price).unwrap()).unwrap();
        let cost = |fees: &[(&str, u64)]| {
            let tool_fees = fees.iter().map(|(fee, count)| ((*fee).to_owned(), *count)).collect();
            rates.cost(&Usage { tool_fees, ..Usage::tokens(1, 1) })
        };
        assert_eq!(cost(&[]), NanoUsd(3_000));
        // A cent for each search, a quarter of one for a search in files.
        assert_eq!(cost(&[("web_search", 3), ("file_search", 1)]), NanoUsd(32_500_000 + 3_000));
        assert_eq!(cost(&[("gpu_ms", 2_500)]), NanoUsd(1_500_000 + 3_000));
        assert_eq!(cost(&[("unknown", 9)]), NanoUsd(3_000));
        assert_eq!(cost(&[("web_search", u64::MAX), ("gpu_ms", u64::MAX)]), NanoUsd(i64::MAX));
        assert_eq!(rates.max_ms(), Some(600_000));
        let written = serde_json::to_string(&rates).unwrap();
        assert_eq!(serde_json::from_str::<Rates>(&written).unwrap(), rates);
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

    proptest! {
        #[test]
        fn no_usage_wraps_or_costs_less_than_nothing(input: u64, output: u64, rate in 0..i64::MAX) {
            let rates = Rates { input: rate, output: rate, ..Rates::default() };
            prop_assert!(rates.cost(&Usage::tokens(input, output)).0 >= 0);
        }
    }
}
