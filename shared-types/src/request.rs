//! What a model is asked.

use crate::{CallOptions, Extras, Message, Tool, ToolChoice};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One request to a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerateRequest {
    /// `provider/model`, or an alias that the proxy resolves.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// How freely it may choose among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// How many answers to make of the same prompt; absent means one. Events describe the first;
    /// the others reach only a caller who speaks the provider's own wire format, and are refused
    /// elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choices: Option<u32>,
    /// The shape of the answer; absent means text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputFormat>,
    /// How tokens are chosen.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sampling: Sampling,
    /// How much the model shall think first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<ReasoningOptions>,
    /// Kinds of output wanted; empty means text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modalities: Vec<Modality>,
    /// A conversation stored at the provider that this request continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
    /// Whether the provider shall store the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// Provider-namespaced options, merged last into the body of that provider only.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
    /// What happens to an option that the provider cannot honour.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_unsupported: OnUnsupported,
    /// How the call is made; never part of the body.
    #[serde(skip)]
    pub options: CallOptions,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What happens to an option that a provider cannot honour. It is never dropped silently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnsupported {
    /// The request is refused.
    #[default]
    Fail,
    /// The option is left out and the answer carries a warning.
    Warn,
}

/// How tokens are chosen. An absent field leaves the choice to the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// The most tokens the model may produce, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// 0 takes the likeliest token each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Choose among the likeliest tokens that together have this probability (0 to 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Choose among this many of the likeliest tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Leave out tokens less likely than this fraction of the likeliest (0 to 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// Lowers the odds of tokens that have occurred (-2 to 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Lowers the odds of tokens by how often they have occurred (-2 to 2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Makes sampling repeatable, where the provider supports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Texts that end the answer; they are not part of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Return log-probabilities with this many alternatives (0: the chosen token only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<u8>,
}

/// The shape of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputFormat {
    /// Free text.
    Text,
    /// Any JSON object.
    Json,
    /// JSON that satisfies a schema.
    JsonSchema {
        /// Name of the schema.
        name: String,
        /// The JSON schema.
        schema: Value,
        /// The provider shall enforce it.
        #[serde(default)]
        strict: bool,
    },
    /// Text of a grammar.
    Grammar {
        /// `gbnf`, `lark` or `regex`.
        syntax: String,
        /// The grammar.
        grammar: String,
    },
}

/// How much the model shall think before it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasoningOptions {
    /// `none`, `minimal`, `low`, `medium`, `high` ...: text, because the list grows per vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// The most tokens to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_tokens: Option<u32>,
    /// Ask for the visible text or summary of the reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_text: Option<bool>,
}

/// A kind of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Audio.
    Audio,
}

impl GenerateRequest {
    /// A request with nothing but a model and a conversation.
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self { model: model.into(), messages, ..Self::default() }
    }

    /// Offers tools.
    #[must_use]
    pub fn tools(mut self, tools: Vec<Tool>) -> Self {
        self.tools = tools;
        self
    }

    /// Sets how freely the model may choose among the tools.
    #[must_use]
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = Some(choice);
        self
    }

    /// Sets how tokens are chosen.
    #[must_use]
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// Sets how the call is made.
    #[must_use]
    pub fn options(mut self, options: CallOptions) -> Self {
        self.options = options;
        self
    }
}
