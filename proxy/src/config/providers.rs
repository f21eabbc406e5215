//! `[[providers]]`: the upstreams.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The wire format that an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// OpenAI or any compatible host.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini API, or Vertex AI.
    Google,
    /// Ollama.
    Ollama,
    /// Models in this process.
    Llama,
}

/// Which of OpenAI's APIs a host offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpenaiApi {
    /// Chat completions: every compatible host has them.
    Chat,
    /// Responses, for every request.
    Responses,
    /// Responses for clients that speak them, chat completions for all others.
    Both,
}

/// One upstream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderEntry {
    /// Its name: the part of a model's name before the slash.
    pub name: String,
    /// The wire format it speaks.
    pub kind: ProviderKind,
    /// Address of its API; absent: the vendor's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Environment variable that holds the key; absent: the vendor's usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// File that holds the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// Which of OpenAI's APIs to use (`kind = "openai"`); absent: both at OpenAI's own address,
    /// chat completions elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<OpenaiApi>,
    /// Speak HTTP/2 to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub http2: bool,
    /// Headers to send with every request, besides the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Longest wait for a connection, seconds; absent: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout_s: Option<u32>,
    /// Longest silence within a stream, seconds; absent: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_s: Option<u32>,
    /// Longest wait for the first byte of a stream or for a whole answer, seconds; absent: 600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_timeout_s: Option<u32>,
    /// Upstream models that may be reached; `*` at the end stands for any rest.
    #[serde(default = "any_model")]
    pub models: Vec<String>,
    /// Models to load into this process (`kind = "llama"`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load: Vec<LoadedModel>,
}

fn any_model() -> Vec<String> {
    vec!["*".to_owned()]
}

/// A model file to load.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadedModel {
    /// The name that callers ask for, after `<provider>/`.
    pub model: String,
    /// The GGUF file.
    pub path: PathBuf,
    /// Tokens of context that all running requests share.
    #[serde(default = "default_context")]
    pub context: u32,
    /// Requests that run at once.
    #[serde(default = "default_parallel")]
    pub parallel: u32,
    /// Layers to put on a GPU: a number or `"auto"`.
    #[serde(default)]
    pub gpu_layers: GpuLayers,
    /// CPU threads; absent: one less than there are cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Most output tokens of a request that names no limit; absent: a quarter of the context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
}

/// How many layers go on a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum GpuLayers {
    /// As many as fit.
    #[default]
    Auto,
    /// So many.
    Count(u32),
}

impl TryFrom<toml::Value> for GpuLayers {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        let count = value.as_integer().and_then(|count| u32::try_from(count).ok());
        match (value.as_str(), count) {
            (Some("auto"), _) => Ok(Self::Auto),
            (_, Some(count)) => Ok(Self::Count(count)),
            _ => Err("gpu_layers is a number of layers or \"auto\"".to_owned()),
        }
    }
}

impl From<GpuLayers> for toml::Value {
    fn from(layers: GpuLayers) -> Self {
        match layers {
            GpuLayers::Auto => Self::String("auto".to_owned()),
            GpuLayers::Count(count) => Self::Integer(i64::from(count)),
        }
    }
}

fn default_context() -> u32 {
    8192
}

fn default_parallel() -> u32 {
    4
}

pub(super) fn validate(entries: &[ProviderEntry]) -> Result<(), String> {
    for (index, entry) in entries.iter().enumerate() {
        let name = &entry.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!(
                "providers: the name {name:?} must be letters, digits, '-', '_' or '.'"
            ));
        }
        if entries.iter().take(index).any(|earlier| earlier.name == *name) {
            return Err(format!("providers: the name {name:?} is there twice"));
        }
        validate_kind(entry)?;
    }
    Ok(())
}

fn validate_kind(entry: &ProviderEntry) -> Result<(), String> {
    let name = &entry.name;
    if entry.kind == ProviderKind::Llama {
        if entry.load.is_empty() {
            return Err(format!(
                "providers: {name:?} has the kind \"llama\" but no [[providers.load]] with a model file"
            ));
        }
        return entry.load.iter().try_for_each(|load| validate_load(name, load));
    }
    if !entry.load.is_empty() {
        return Err(format!(
            "providers: {name:?} has a [[providers.load]], which only \"llama\" takes"
        ));
    }
    if entry.api.is_some() && entry.kind != ProviderKind::Openai {
        return Err(format!(
            "providers: {name:?} has an api, which only the kind \"openai\" takes"
        ));
    }
    validate_reach(entry)
}

fn validate_reach(entry: &ProviderEntry) -> Result<(), String> {
    let name = &entry.name;
    if let Some(url) = &entry.base_url
        && !url.starts_with("http://")
        && !url.starts_with("https://")
    {
        return Err(format!("providers: base_url of {name:?} must begin with http:// or https://"));
    }
    for (key, seconds) in [
        ("connect_timeout_s", entry.connect_timeout_s),
        ("idle_timeout_s", entry.idle_timeout_s),
        ("answer_timeout_s", entry.answer_timeout_s),
    ] {
        if seconds.is_some_and(|seconds| !(1..=86_400).contains(&seconds)) {
            return Err(format!(
                "providers: {key} of {name:?} must be between 1 and 86400 seconds"
            ));
        }
    }
    for (header, value) in &entry.headers {
        let good = http::HeaderName::try_from(header).is_ok()
            && http::HeaderValue::try_from(value).is_ok();
        if !good {
            return Err(format!("providers: {name:?} has a header {header:?} that cannot be sent"));
        }
    }
    Ok(())
}

fn validate_load(provider: &str, load: &LoadedModel) -> Result<(), String> {
    let place = format!("providers: the model {:?} of {provider:?}", load.model);
    if load.model.is_empty() {
        return Err(format!("{place} needs a name"));
    }
    if !(64..=1_048_576).contains(&load.context) {
        return Err(format!("{place}: context must be between 64 and 1048576 tokens"));
    }
    if !(1..=256).contains(&load.parallel) {
        return Err(format!("{place}: parallel must be between 1 and 256"));
    }
    Ok(())
}
