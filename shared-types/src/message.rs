//! One turn of a conversation.

use crate::{Extras, Part, ToolCall};
use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator's instructions.
    System,
    /// The application's instructions, where a provider tells them apart from the system's.
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// Results of tools.
    Tool,
}

/// Who made an assistant turn: signatures and native items are replayed only to the same API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Wire format, for example `openai.chat` or `llama`.
    pub api: String,
    /// Name of the provider as configured.
    pub provider: String,
    /// Model id as the provider calls it.
    pub model: String,
    /// The provider's id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
}

/// One turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Part>,
    /// Name of the speaker, for providers that tell several users apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who produced an assistant turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Provider-namespaced data.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

impl Message {
    /// A turn made of parts.
    pub fn new(role: Role, content: Vec<Part>) -> Self {
        Self { role, content, name: None, origin: None, extras: Extras::new() }
    }

    /// Instructions of the operator.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, vec![Part::text(text)])
    }

    /// A user's turn.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, vec![Part::text(text)])
    }

    /// A model's turn made of text.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, vec![Part::text(text)])
    }

    /// A tool's answer made of text.
    pub fn tool_result(call: &ToolCall, text: impl Into<String>) -> Self {
        Self::new(Role::Tool, vec![Part::tool_result(call, text)])
    }

    /// All text parts joined.
    pub fn text(&self) -> String {
        self.content.iter().filter_map(Part::as_text).collect()
    }
}
