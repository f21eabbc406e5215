//! Upstreams: each implements [`Provider`], and knows nothing of callers, budgets or HTTP servers.

pub mod http;
pub mod anthropic;
pub mod google;
#[cfg(feature = "local")]
pub mod llama;
pub mod ollama;
pub mod openai;

use crate::config::{Environment, OpenaiApi, ProviderEntry, ProviderKind};
use ::http::{HeaderName, HeaderValue};
use http::{HttpOptions, KeyHeader};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tollgate_types::{Provider, Secret};

/// Why an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A file with a key cannot be read.
    #[error("provider {provider:?}: cannot read its key from {path}: {source}")]
    KeyFile {
        /// The provider.
        provider: String,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The variable that was named for the key is not set.
    #[error("provider {provider:?}: the environment variable {variable} for its key is not set")]
    KeyVariable {
        /// The provider.
        provider: String,
        /// The variable.
        variable: String,
    },
    /// Its client cannot be made.
    #[error("provider {provider:?}: {message}")]
    Client {
        /// The provider.
        provider: String,
        /// Why not.
        message: String,
    },
    /// Its models cannot be loaded.
    #[error("provider {provider:?}: {message}")]
    Load {
        /// The provider.
        provider: String,
        /// Why not.
        message: String,
    },
    /// This build has no local models.
    #[error(
        "provider {provider:?} has the kind \"llama\", but this tollgate was built without the feature `local`"
    )]
    NotBuilt {
        /// The provider.
        provider: String,
    },
}

/// Makes the upstream that an entry describes; loads its models if it has any. Slow: it may read
/// gigabytes.
///
/// # Errors
/// When a key is missing or a model cannot be loaded.
pub async fn open(
    entry: &ProviderEntry,
    environment: &Environment,
) -> Result<Arc<dyn Provider>, ProviderError> {
    match entry.kind {
        ProviderKind::Openai
        | ProviderKind::Anthropic
        | ProviderKind::Google
        | ProviderKind::Ollama => {
            let options = http_options(entry, environment)?;
            vendor(entry, options).map_err(|error| no_client(entry, &error))
        }
        #[cfg(feature = "local")]
        ProviderKind::Llama => llama::open(entry).await,
        #[cfg(not(feature = "local"))]
        ProviderKind::Llama => Err(ProviderError::NotBuilt { provider: entry.name.clone() }),
    }
}

/// Whether an upstream over the network could be made: whether its key is there, above all. Calls
/// nobody.
///
/// # Errors
/// As [`open`].
pub fn check(entry: &ProviderEntry, environment: &Environment) -> Result<(), ProviderError> {
    let options = http_options(entry, environment)?;
    vendor(entry, options).map(drop).map_err(|error| no_client(entry, &error))
}

/// The Ollama server that an entry describes, for what no other provider can do.
///
/// # Errors
/// As [`open`].
pub fn open_ollama(
    entry: &ProviderEntry,
    environment: &Environment,
) -> Result<ollama::Ollama, ProviderError> {
    let options = http_options(entry, environment)?;
    ollama::Ollama::new(options).map_err(|error| no_client(entry, &error))
}

fn no_client(entry: &ProviderEntry, error: &tollgate_types::Error) -> ProviderError {
    ProviderError::Client { provider: entry.name.clone(), message: error.to_string() }
}

fn vendor(
    entry: &ProviderEntry,
    options: HttpOptions,
) -> tollgate_types::Result<Arc<dyn Provider>> {
    Ok(match entry.kind {
        ProviderKind::Anthropic => Arc::new(anthropic::Anthropic::new(options)?),
        ProviderKind::Google => Arc::new(google::Google::new(options)?),
        ProviderKind::Ollama => Arc::new(ollama::Ollama::new(options)?),
        ProviderKind::Openai | ProviderKind::Llama => {
            let vendors_own = entry.base_url.is_none();
            let usual = if vendors_own { OpenaiApi::Both } else { OpenaiApi::Chat };
            Arc::new(openai::OpenAi::new(options, entry.api.unwrap_or(usual))?)
        }
    })
}

/// Where a vendor's own servers are, the variable that usually holds the key, and where it goes.
fn usual_of(kind: ProviderKind) -> (&'static str, &'static str, KeyHeader) {
    match kind {
        ProviderKind::Anthropic => (anthropic::BASE_URL, "ANTHROPIC_API_KEY", KeyHeader::XApiKey),
        ProviderKind::Google => (google::BASE_URL, "GEMINI_API_KEY", KeyHeader::XGoogApiKey),
        ProviderKind::Ollama => (ollama::BASE_URL, "OLLAMA_API_KEY", KeyHeader::Bearer),
        ProviderKind::Openai | ProviderKind::Llama => {
            (openai::BASE_URL, "OPENAI_API_KEY", KeyHeader::Bearer)
        }
    }
}

fn http_options(
    entry: &ProviderEntry,
    environment: &Environment,
) -> Result<HttpOptions, ProviderError> {
    let (address, variable, key_header) = usual_of(entry.kind);
    let base_url = entry.base_url.as_deref().unwrap_or(address);
    let mut options = HttpOptions::new(entry.name.clone(), base_url);
    options.api_key = key_of(entry, environment, variable)?;
    // A machine's own Ollama asks for no key; every vendor does.
    let needs_key = entry.base_url.is_none() && entry.kind != ProviderKind::Ollama;
    if options.api_key.is_none() && needs_key {
        let (provider, variable) = (entry.name.clone(), variable.to_owned());
        return Err(ProviderError::KeyVariable { provider, variable });
    }
    let azure = entry.kind == ProviderKind::Openai && base_url.contains(".azure.com");
    let vertex = entry.kind == ProviderKind::Google && google::takes_tokens(base_url);
    options.key_header = match (azure, vertex) {
        (true, _) => KeyHeader::ApiKey,
        (_, true) => KeyHeader::Bearer,
        _ => key_header,
    };
    options.http2 = entry.http2;
    for (name, value) in &entry.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            options.headers.insert(name, value);
        }
    }
    let seconds = |seconds: Option<u32>| seconds.map(|s| Duration::from_secs(s.into()));
    options.connect_timeout = seconds(entry.connect_timeout_s).unwrap_or(options.connect_timeout);
    options.idle_timeout = seconds(entry.idle_timeout_s).unwrap_or(options.idle_timeout);
    options.answer_timeout = seconds(entry.answer_timeout_s).unwrap_or(options.answer_timeout);
    Ok(options)
}

/// The key of an upstream: the variable that was named, else the file, else the vendor's usual
/// variable; the last only for the vendor's own address.
fn key_of(
    entry: &ProviderEntry,
    environment: &Environment,
    usual: &str,
) -> Result<Option<Secret<String>>, ProviderError> {
    let provider = entry.name.clone();
    if let Some(variable) = &entry.api_key_env {
        return match environment.get(variable) {
            Some(key) => Ok(Some(key.trim().into())),
            None => Err(ProviderError::KeyVariable { provider, variable: variable.clone() }),
        };
    }
    if let Some(path) = &entry.api_key_file {
        let text = std::fs::read_to_string(path).map_err(|source| ProviderError::KeyFile {
            provider,
            path: path.clone(),
            source,
        })?;
        return Ok(Some(text.trim().into()));
    }
    let usual = entry.base_url.is_none().then(|| environment.get(usual)).flatten();
    Ok(usual.map(|key| key.trim().into()))
}
