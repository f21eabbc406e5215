//! The vendors whose APIs the mock upstream speaks, and how each is reached directly.

use std::sync::Arc;
use tollgate::{
    config::OpenaiApi,
    providers::{
        anthropic::Anthropic, google::Google, http::HttpOptions, ollama::Ollama, openai::OpenAi,
    },
};
use tollgate_types::Provider;

/// A wire format of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    Chat,
    Responses,
    Anthropic,
    Google,
    Ollama,
}

/// All of them.
pub const VENDORS: [Vendor; 5] =
    [Vendor::Chat, Vendor::Responses, Vendor::Anthropic, Vendor::Google, Vendor::Ollama];

impl Vendor {
    /// The provider's name in the server's configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
            Self::Google => "google",
            Self::Ollama => "ollama",
        }
    }

    /// Where its API begins on a host.
    pub fn base(self, host: &str) -> String {
        match self {
            Self::Chat | Self::Responses | Self::Anthropic => format!("{host}/v1"),
            Self::Google | Self::Ollama => host.to_owned(),
        }
    }

    /// Its entry in the server's configuration.
    pub fn entry(self, host: &str) -> String {
        let (name, base) = (self.name(), self.base(host));
        let (kind, more) = match self {
            Self::Chat => ("openai", ""),
            Self::Responses => ("openai", "api = \"responses\"\n"),
            Self::Anthropic | Self::Google | Self::Ollama => (name, ""),
        };
        format!(
            "[[providers]]\nname = \"{name}\"\nkind = \"{kind}\"\nbase_url = \"{base}\"\n{more}"
        )
    }

    /// The provider without a server between.
    pub fn direct(self, host: &str) -> Arc<dyn Provider> {
        let options = HttpOptions::new(self.name(), self.base(host));
        match self {
            Self::Chat => Arc::new(OpenAi::new(options, OpenaiApi::Chat).unwrap()),
            Self::Responses => Arc::new(OpenAi::new(options, OpenaiApi::Responses).unwrap()),
            Self::Anthropic => Arc::new(Anthropic::new(options).unwrap()),
            Self::Google => Arc::new(Google::new(options).unwrap()),
            Self::Ollama => Arc::new(Ollama::new(options).unwrap()),
        }
    }
}
