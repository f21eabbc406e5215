//! The vendors whose models are known, and which provider is at a vendor's own address.

use crate::config::{ProviderEntry, ProviderKind};
use http::Uri;
use serde::{Deserialize, Serialize};

/// Who runs the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    /// Claude.
    Anthropic,
    /// DeepSeek.
    Deepseek,
    /// Gemini, at the Gemini API; Google Cloud has prices of its own.
    Google,
    /// Open models on Groq's machines.
    Groq,
    /// Mistral.
    Mistral,
    /// GPT and the o series, without Azure.
    Openai,
    /// Grok.
    Xai,
}

impl Vendor {
    /// Every vendor.
    pub const ALL: [Self; 7] = [
        Self::Anthropic,
        Self::Deepseek,
        Self::Google,
        Self::Groq,
        Self::Mistral,
        Self::Openai,
        Self::Xai,
    ];

    /// The vendor's name, as the registry writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Deepseek => "deepseek",
            Self::Google => "google",
            Self::Groq => "groq",
            Self::Mistral => "mistral",
            Self::Openai => "openai",
            Self::Xai => "xai",
        }
    }

    /// The host of the vendor's API. Addresses of regions are others: they have other prices.
    pub fn host(self) -> &'static str {
        match self {
            Self::Anthropic => "api.anthropic.com",
            Self::Deepseek => "api.deepseek.com",
            Self::Google => "generativelanguage.googleapis.com",
            Self::Groq => "api.groq.com",
            Self::Mistral => "api.mistral.ai",
            Self::Openai => "api.openai.com",
            Self::Xai => "api.x.ai",
        }
    }

    /// The vendor at whose own address a provider is; absent for models in this process and for
    /// every other host.
    pub fn of(entry: &ProviderEntry) -> Option<Self> {
        let own = match entry.kind {
            ProviderKind::Openai => Self::Openai,
            ProviderKind::Anthropic => Self::Anthropic,
            ProviderKind::Google => Self::Google,
            ProviderKind::Ollama | ProviderKind::Llama => return None,
        };
        let Some(url) = &entry.base_url else { return Some(own) };
        let url: Uri = url.trim().parse().ok()?;
        let host = url.host().filter(|_| url.scheme_str() == Some("https"))?;
        Self::ALL.into_iter().find(|vendor| vendor.host().eq_ignore_ascii_case(host))
    }
}

impl std::fmt::Display for Vendor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
