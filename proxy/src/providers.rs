//! Upstreams: each implements [`Provider`], and knows nothing of callers, budgets or HTTP servers.

#[cfg(feature = "local")]
pub mod llama;
pub mod openai;

use crate::config::{Environment, ProviderEntry, ProviderKind};
use std::{path::PathBuf, sync::Arc};
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
        ProviderKind::Openai => open_openai(entry, environment),
        #[cfg(feature = "local")]
        ProviderKind::Llama => llama::open(entry).await,
        #[cfg(not(feature = "local"))]
        ProviderKind::Llama => Err(ProviderError::NotBuilt { provider: entry.name.clone() }),
    }
}

fn open_openai(
    entry: &ProviderEntry,
    environment: &Environment,
) -> Result<Arc<dyn Provider>, ProviderError> {
    let client = |message: String| ProviderError::Client { provider: entry.name.clone(), message };
    let mut options =
        openai::OpenAiOptions { name: entry.name.clone(), ..openai::OpenAiOptions::default() };
    if let Some(url) = &entry.base_url {
        options.base_url.clone_from(url);
    }
    options.api_key = key_of(entry, environment)?;
    if options.api_key.is_none() && entry.base_url.is_none() {
        let provider = entry.name.clone();
        return Err(ProviderError::KeyVariable { provider, variable: "OPENAI_API_KEY".to_owned() });
    }
    let provider = openai::OpenAi::new(options).map_err(|error| client(error.to_string()))?;
    Ok(Arc::new(provider))
}

/// The key of an upstream: the variable that was named, else the file, else the vendor's usual
/// variable; the last only for the vendor's own address.
fn key_of(
    entry: &ProviderEntry,
    environment: &Environment,
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
    let usual = entry.base_url.is_none().then(|| environment.get("OPENAI_API_KEY")).flatten();
    Ok(usual.map(|key| key.trim().into()))
}
