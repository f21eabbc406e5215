//! `[[prices]]`: what models cost, in US dollars per million tokens as decimal text.

mod check;
mod file;

pub use check::PriceError;
pub(super) use file::line_of;
pub use file::{read_prices, write_prices};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The price of a model or of a group of models.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Tools that the provider runs, by the name of their fee: dollars per thousand calls. What is
    /// not named costs what the vendor's list says, where there is one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, String>,
    /// Dollars for every second that a model works on the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_second: Option<String>,
    /// How many seconds a model may work where they cost something; absent: 600. The answer is cut
    /// off after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<u32>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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

/// Refuses the prices of a configuration that cannot be right, with the line in its text.
pub(super) fn validate(prices: &[PriceEntry], text: &str) -> Result<(), String> {
    for (number, entry) in prices.iter().enumerate() {
        entry.check().map_err(|error| {
            let line = line_of(text, number, &error);
            format!("line {line}: prices: {:?}: {error}", entry.model)
        })?;
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
                .and_then(|entry| entry.check().map_err(|error| error.to_string()))
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

    #[test]
    fn a_wrong_price_of_the_configuration_is_told_with_its_line() {
        let text = "[server]\n\n[[prices]]\nmodel = \"a/b\"\ninput = \"1\"\noutput = \"0,6\"\n";
        let path = std::path::Path::new("t.toml");
        let error = crate::config::Config::parse(path, text, &Default::default()).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("t.toml: line 6: prices: \"a/b\": output"), "{error}");
    }
}
