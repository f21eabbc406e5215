//! The environment variables that name a server. The only place here that reads the environment.

use crate::RemoteProvider;
use tollgate_types::{Error, Result};

impl RemoteProvider {
    /// Builds a provider from `TOLLGATE_URL`, `TOLLGATE_API_KEY` and, where set, `TOLLGATE_MODEL`
    /// (the model of requests that name none).
    ///
    /// # Errors
    /// `invalid_request` when a variable is missing or unusable.
    pub fn from_env() -> Result<Self> {
        let mut builder = Self::builder()
            .server(required("TOLLGATE_URL")?)
            .api_key(required("TOLLGATE_API_KEY")?);
        if let Some(model) = optional("TOLLGATE_MODEL")? {
            builder = builder.model(model);
        }
        builder.build()
    }
}

fn required(name: &str) -> Result<String> {
    optional(name)?
        .ok_or_else(|| Error::invalid(name, format!("the environment variable {name} is not set")))
}

/// A variable that is empty counts as not set.
#[expect(clippy::disallowed_methods, reason = "the one place of the client that may")]
fn optional(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::invalid(name, format!("the environment variable {name} is not UTF-8")))
        }
    }
}
