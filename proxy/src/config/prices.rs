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
}

impl PriceEntry {
    fn amounts(&self) -> [(&'static str, Option<&String>); 10] {
        [
            ("input", Some(&self.input)),
            ("output", Some(&self.output)),
            ("cache_read", self.cache_read.as_ref()),
            ("cache_write_5m", self.cache_write_5m.as_ref()),
            ("cache_write_1h", self.cache_write_1h.as_ref()),
            ("audio_in", self.audio_in.as_ref()),
            ("image_in", self.image_in.as_ref()),
            ("reasoning", self.reasoning.as_ref()),
            ("audio_out", self.audio_out.as_ref()),
            ("per_request", self.per_request.as_ref()),
        ]
    }
}

pub(super) fn validate(prices: &[PriceEntry]) -> Result<(), String> {
    for entry in prices {
        let model = &entry.model;
        if !model.contains('/') {
            return Err(format!("prices: the model {model:?} must be <provider>/<model>"));
        }
        for (field, text) in entry.amounts() {
            let Some(text) = text else { continue };
            text.parse::<NanoUsd>()
                .map_err(|error| format!("prices: {field} of {model:?}: {error}"))?;
        }
    }
    Ok(())
}
