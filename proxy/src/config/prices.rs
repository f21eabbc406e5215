//! `[[prices]]`: what models cost, in US dollars per million tokens as decimal text.

use serde::{Deserialize, Serialize};
use tollgate_types::NanoUsd;

/// The price of a model or of a group of models.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceEntry {
    /// `provider/model`; a `*` at the end stands for any rest. The first entry that fits counts.
    pub model: String,
    /// Uncached prompt tokens.
    pub input: String,
    /// Visible output tokens.
    pub output: String,
    /// Prompt tokens read from a cache; absent: as `input`.
    pub cache_read: Option<String>,
    /// Prompt tokens written to a five-minute cache; absent: as `input`.
    pub cache_write_5m: Option<String>,
    /// Prompt tokens written to a one-hour cache; absent: as `input`.
    pub cache_write_1h: Option<String>,
    /// Audio prompt tokens; absent: as `input`.
    pub audio_in: Option<String>,
    /// Image prompt tokens; absent: as `input`.
    pub image_in: Option<String>,
    /// Reasoning tokens; absent: as `output`.
    pub reasoning: Option<String>,
    /// Audio output tokens; absent: as `output`.
    pub audio_out: Option<String>,
    /// A fee for every request, in dollars.
    pub per_request: Option<String>,
    /// What calls with a long prompt cost instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_context: Option<LongContext>,
    /// The day on which the price was read at its source, `2026-10-03`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// Where the price was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The price of calls whose prompt is longer than a threshold: of all of their tokens, not only of
/// those above it. That is how OpenAI, Google, Anthropic and xAI bill long prompts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongContext {
    /// Prompts of more tokens than this are long; cached tokens count too.
    pub above: u64,
    /// As in [`PriceEntry`], and so are the following.
    pub input: String,
    /// Visible output tokens.
    pub output: String,
    /// Prompt tokens read from a cache.
    pub cache_read: Option<String>,
    /// Prompt tokens written to a five-minute cache.
    pub cache_write_5m: Option<String>,
    /// Prompt tokens written to a one-hour cache.
    pub cache_write_1h: Option<String>,
    /// Audio prompt tokens.
    pub audio_in: Option<String>,
    /// Image prompt tokens.
    pub image_in: Option<String>,
    /// Reasoning tokens.
    pub reasoning: Option<String>,
    /// Audio output tokens.
    pub audio_out: Option<String>,
}

/// The amounts of a price, whatever prompts it is for.
#[derive(Clone, Copy, Debug)]
pub struct Amounts<'p> {
    /// Uncached prompt tokens.
    pub input: &'p String,
    /// Visible output tokens.
    pub output: &'p String,
    /// `cache_read`, `cache_write_5m`, `cache_write_1h`, `audio_in` and `image_in`.
    pub inputs: [Option<&'p String>; 5],
    /// `reasoning` and `audio_out`.
    pub outputs: [Option<&'p String>; 2],
}

/// Names of [`Amounts::inputs`] and [`Amounts::outputs`].
const INPUTS: [&str; 5] =
    ["cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in"];
const OUTPUTS: [&str; 2] = ["reasoning", "audio_out"];

impl PriceEntry {
    /// What tokens cost.
    pub fn amounts(&self) -> Amounts<'_> {
        Amounts {
            input: &self.input,
            output: &self.output,
            inputs: [
                self.cache_read.as_ref(),
                self.cache_write_5m.as_ref(),
                self.cache_write_1h.as_ref(),
                self.audio_in.as_ref(),
                self.image_in.as_ref(),
            ],
            outputs: [self.reasoning.as_ref(), self.audio_out.as_ref()],
        }
    }

    /// Refuses amounts and dates that are none.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        self.amounts().check("")?;
        if let Some(fee) = &self.per_request {
            amount("per_request", fee)?;
        }
        if let Some(long) = &self.long_context {
            if long.above == 0 {
                return Err("long_context.above: must be at least 1 token".to_owned());
            }
            long.amounts().check("long_context.")?;
        }
        match &self.as_of {
            Some(day) if day.parse::<jiff::civil::Date>().is_err() => {
                Err(format!("as_of: {day:?} is not a day, write it like 2026-10-03"))
            }
            _ => Ok(()),
        }
    }
}

impl LongContext {
    /// What tokens of a call with a long prompt cost.
    pub fn amounts(&self) -> Amounts<'_> {
        Amounts {
            input: &self.input,
            output: &self.output,
            inputs: [
                self.cache_read.as_ref(),
                self.cache_write_5m.as_ref(),
                self.cache_write_1h.as_ref(),
                self.audio_in.as_ref(),
                self.image_in.as_ref(),
            ],
            outputs: [self.reasoning.as_ref(), self.audio_out.as_ref()],
        }
    }
}

impl Amounts<'_> {
    fn check(&self, place: &str) -> Result<(), String> {
        amount(&format!("{place}input"), self.input)?;
        amount(&format!("{place}output"), self.output)?;
        let others = INPUTS.iter().zip(self.inputs).chain(OUTPUTS.iter().zip(self.outputs));
        for (field, text) in others {
            let Some(text) = text else { continue };
            amount(&format!("{place}{field}"), text)?;
        }
        Ok(())
    }
}

fn amount(field: &str, text: &str) -> Result<(), String> {
    text.parse::<NanoUsd>().map(drop).map_err(|error| format!("{field}: {error}"))
}

pub(super) fn validate(prices: &[PriceEntry]) -> Result<(), String> {
    for entry in prices {
        let model = &entry.model;
        if !model.contains('/') {
            return Err(format!("prices: the model {model:?} must be <provider>/<model>"));
        }
        entry.check().map_err(|error| format!("prices: {model:?}: {error}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_price_is_told_with_its_field() {
        let base = "model = \"a/b\"\ninput = \"1\"\noutput = \"2\"\n";
        let check = |more: &str| {
            let read = toml::from_str::<PriceEntry>(&format!("{base}{more}"));
            read.map_err(|error| error.to_string())
                .and_then(|entry| validate(&[entry]))
                .err()
                .unwrap_or_default()
        };
        let long = "[long_context]\nabove = 200000\ninput = \"2\"\noutput = \"3\"\n";
        assert_eq!(
            check(&format!("as_of = \"2026-10-03\"\nsource = \"our contract\"\n{long}")),
            ""
        );
        for (more, expected) in [
            ("cache_read = \"1e3\"", "cache_read"),
            ("per_request = \"-1\"", "per_request"),
            ("as_of = \"yesterday\"", "as_of"),
            ("[long_context]\nabove = 0\ninput = \"2\"\noutput = \"3\"", "long_context.above"),
            ("[long_context]\nabove = 9\ninput = \"x\"\noutput = \"3\"", "long_context.input"),
            (&format!("{long}audio_in = \"1,5\""), "long_context.audio_in"),
            (&format!("{long}abov = 3"), "abov"),
            ("[long_context]\nabove = 9\ninput = \"2\"", "output"),
        ] {
            let error = check(more);
            assert!(error.contains(expected), "{expected} is not in: {error}");
        }
    }
}
