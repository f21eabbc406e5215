//! `[limits]`: what the whole server takes on at once.

use serde::{Deserialize, Serialize};

/// Limits of the whole server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Model calls that run at once; more are answered 503 with Retry-After.
    pub max_concurrent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_concurrent: 1024 }
    }
}
