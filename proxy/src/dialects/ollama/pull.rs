//! How far a model is fetched: the lines of `POST /api/pull`.

use serde_json::Value;
use tollgate_types::{Error, ErrorKind, Result};

use crate::dialects::upstream_error::error_within;

/// One line of a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// What is being done, in Ollama's words.
    pub status: String,
    /// The layer that is being fetched.
    pub digest: Option<String>,
    /// Bytes of the layer.
    pub total: Option<u64>,
    /// Bytes of the layer that are there.
    pub completed: Option<u64>,
}

impl PullProgress {
    /// Whether the model is there.
    pub fn is_success(&self) -> bool {
        self.status == "success"
    }
}

/// Reads one line.
///
/// # Errors
/// Why the model cannot be fetched; `protocol` when the line is none.
pub fn decode_pull(line: &str, provider: &str) -> Result<PullProgress> {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let text = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
    let bytes = |key: &str| line.get(key).and_then(Value::as_u64);
    match text("status") {
        Some(status) => Ok(PullProgress {
            status,
            digest: text("digest"),
            total: bytes("total"),
            completed: bytes("completed"),
        }),
        None => Err(error_within(&line, provider).unwrap_or_else(|| {
            Error::new(ErrorKind::Protocol, "the provider's answer does not say how far it is")
                .with(|body| body.provider = Some(provider.to_owned()))
        })),
    }
}
