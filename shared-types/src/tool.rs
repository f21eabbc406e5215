//! Tools that a model may call, and how freely it may choose among them.

use crate::Extras;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A tool offered to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Tool {
    /// A function that the caller runs.
    Function(FunctionTool),
    /// A tool that the provider runs.
    Hosted(HostedTool),
}

/// A function that the caller runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionTool {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// JSON schema of its arguments; `null` or absent means no arguments.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub parameters: Value,
    /// The provider shall hold the model to the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
    /// Provider-namespaced data.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
}

/// A tool that the provider runs (web search, code interpreter ...).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostedTool {
    /// The wire format it belongs to, for example `openai.responses`.
    pub api: String,
    /// The tool, verbatim.
    pub config: Map<String, Value>,
}

impl Tool {
    /// A function with a JSON schema for its arguments.
    pub fn function(
        name: impl Into<String>,
        description: impl Into<String>,
        parameters: Value,
    ) -> Self {
        Self::Function(FunctionTool {
            name: name.into(),
            description: description.into(),
            parameters,
            ..FunctionTool::default()
        })
    }
}

/// How freely the model may choose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool may be called.
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Tool(String),
    /// Only these tools may be called.
    Subset {
        /// Their names.
        names: Vec<String>,
        /// One of them must be called.
        required: bool,
    },
}
