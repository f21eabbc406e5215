//! What is known about a model.

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
    /// What it can do; empty when nobody said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Feature>,
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
    /// Visible output tokens.
    pub output: String,
}
