//! What is known about a model.

use crate::lenient;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Something a caller can be permitted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Ask a model and get the whole answer.
    Chat,
    /// Get the answer as a stream.
    Stream,
    /// Offer tools to the model.
    Tools,
    /// Turn texts into vectors.
    Embeddings,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 4] = [Self::Chat, Self::Stream, Self::Tools, Self::Embeddings];

    /// The one word for this in text, SQL, JSON and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Stream => "stream",
            Self::Tools => "tools",
            Self::Embeddings => "embeddings",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Feature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|feature| feature.as_str() == text).ok_or_else(|| {
            format!("{text:?} is not a feature, use one of: chat, stream, tools, embeddings")
        })
    }
}

/// Something a model can do, read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Capability {
    /// Answers messages.
    Chat,
    /// Answers as a stream.
    Stream,
    /// Calls tools.
    Tools,
    /// Turns texts into vectors.
    Embeddings,
    /// Reads images.
    Vision,
    /// Reads PDF files.
    Pdf,
    /// Hears audio.
    AudioIn,
    /// Speaks audio.
    AudioOut,
    /// Watches video.
    Video,
    /// Thinks before it answers.
    Reasoning,
    /// Keeps its answer to a JSON schema.
    StructuredOutput,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 11] = [
        Self::Chat,
        Self::Stream,
        Self::Tools,
        Self::Embeddings,
        Self::Vision,
        Self::Pdf,
        Self::AudioIn,
        Self::AudioOut,
        Self::Video,
        Self::Reasoning,
        Self::StructuredOutput,
    ];

    /// The one word for this in text, JSON and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Stream => "stream",
            Self::Tools => "tools",
            Self::Embeddings => "embeddings",
            Self::Vision => "vision",
            Self::Pdf => "pdf",
            Self::AudioIn => "audio_in",
            Self::AudioOut => "audio_out",
            Self::Video => "video",
            Self::Reasoning => "reasoning",
            Self::StructuredOutput => "structured_output",
        }
    }

    /// The feature that callers are permitted to use, if this is one.
    pub fn feature(self) -> Option<Feature> {
        Feature::ALL.into_iter().find(|feature| feature.as_str() == self.as_str())
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A model that can be asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// `provider/model` from a proxy, the bare model id from a provider.
    pub id: String,
    /// Name of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Other names under which the model can be asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Most tokens of prompt and answer together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
    /// Most tokens of one answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// What callers can be permitted to do with it; empty when nobody said.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::readable"
    )]
    pub features: Vec<Feature>,
    /// Everything that it can do, read or write, as far as is known; empty when nobody said.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "lenient::readable"
    )]
    pub capabilities: Vec<Capability>,
    /// What it costs; absent when no price is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<ModelPrice>,
}

/// Prices in US dollars per million tokens, as decimal text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPrice {
    /// Uncached prompt tokens.
    pub input: String,
    /// Prompt tokens read from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<String>,
    /// Prompt tokens written to a five-minute cache; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_5m: Option<String>,
    /// Prompt tokens written to a one-hour cache; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<String>,
    /// Visible output tokens.
    pub output: String,
    /// What a call with a long prompt costs instead, if it costs more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_context: Option<LongPrice>,
    /// The day on which the price was read at its source, `2026-10-03`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// Where the price was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// Prices of calls whose prompt is longer than a threshold, for all of their tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongPrice {
    /// Prompts of more tokens than this are long.
    pub above: u64,
    /// Uncached prompt tokens.
    pub input: String,
    /// Prompt tokens read from a cache; absent: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<String>,
    /// Visible output tokens.
    pub output: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_has_one_word_everywhere() {
        for capability in Capability::ALL {
            let word = serde_json::to_value(capability).unwrap();
            assert_eq!(word, capability.as_str());
        }
        let features: Vec<_> = Capability::ALL.iter().filter_map(|c| c.feature()).collect();
        assert_eq!(features, Feature::ALL);
    }

    #[test]
    fn a_list_of_a_newer_server_can_be_read() {
        let info: ModelInfo =
            serde_json::from_str(r#"{"id":"m","capabilities":["vision","telepathy"]}"#).unwrap();
        assert_eq!(info.capabilities, [Capability::Vision]);
    }
}
