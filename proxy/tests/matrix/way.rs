//! The ways in and the upstreams behind them.

use tollgate_types::FinishReason;

/// A way in: the dialect that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Chat,
    Responses,
    Anthropic,
    Google,
    OllamaChat,
    OllamaGenerate,
    Native,
}

pub const WAYS: [Way; 7] = [
    Way::Chat,
    Way::Responses,
    Way::Anthropic,
    Way::Google,
    Way::OllamaChat,
    Way::OllamaGenerate,
    Way::Native,
];

/// The upstreams, by the names that the server has for them.
pub const UPSTREAMS: [&str; 5] = ["openai", "responses", "anthropic", "google", "ollama"];

/// Every way in over every upstream.
pub fn pairs() -> impl Iterator<Item = (Way, &'static str)> {
    WAYS.into_iter().flat_map(|way| UPSTREAMS.map(|upstream| (way, upstream)))
}

/// Every pair, whole and streamed.
pub fn routes() -> impl Iterator<Item = (Way, &'static str, bool)> {
    pairs().flat_map(|(way, upstream)| [false, true].map(|streamed| (way, upstream, streamed)))
}

impl Way {
    /// Where it asks.
    pub fn path(self, model: &str, streamed: bool) -> String {
        let path = match self {
            Self::Chat => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Anthropic => "/v1/messages",
            Self::Google if streamed => {
                return format!("/v1beta/models/{model}:streamGenerateContent?alt=sse");
            }
            Self::Google => return format!("/v1beta/models/{model}:generateContent"),
            Self::OllamaChat => "/api/chat",
            Self::OllamaGenerate => "/api/generate",
            Self::Native if streamed => "/api/v1/stream",
            Self::Native => "/api/v1/generate",
        };
        path.to_owned()
    }

    /// Whether tools can be offered.
    pub fn has_tools(self) -> bool {
        self != Self::OllamaGenerate
    }

    /// Whether its usage tells apart what came from a cache.
    pub fn tells_cached(self) -> bool {
        !matches!(self, Self::OllamaChat | Self::OllamaGenerate)
    }

    /// The upstream that speaks its dialect.
    pub fn own(self) -> Option<&'static str> {
        Some(match self {
            Self::Chat => "openai",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
            Self::Google => "google",
            Self::OllamaChat | Self::OllamaGenerate => "ollama",
            Self::Native => return None,
        })
    }

    /// Its word for why an answer ended.
    pub fn word(self, reason: FinishReason) -> &'static str {
        use FinishReason::{BudgetExhausted, ContentFilter, Length, ToolCalls};
        match (self, reason) {
            (Self::Native, BudgetExhausted) => "budget_exhausted",
            (Self::Chat | Self::Native, ToolCalls) => "tool_calls",
            (Self::Anthropic, ToolCalls) => "tool_use",
            (Self::Responses, Length | BudgetExhausted) => "incomplete: max_output_tokens",
            (Self::Anthropic, Length | BudgetExhausted) => "max_tokens",
            (Self::Google, Length | BudgetExhausted) => "MAX_TOKENS",
            (_, Length | BudgetExhausted) => "length",
            (Self::Responses, ContentFilter) => "incomplete: content_filter",
            (Self::Anthropic, ContentFilter) => "refusal",
            (Self::Google, ContentFilter) => "SAFETY",
            (Self::Chat | Self::Native, ContentFilter) => "content_filter",
            (Self::Responses, _) => "completed",
            (Self::Anthropic, _) => "end_turn",
            (Self::Google, _) => "STOP",
            _ => "stop",
        }
    }
}
