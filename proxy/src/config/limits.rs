//! `[limits]`: what the whole server takes on at once.

use serde::{Deserialize, Serialize};

/// Limits of the whole server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Model calls that run at once; more are answered 503 with Retry-After.
    pub max_concurrent: usize,
}

impl Limits {
    pub(super) fn validate(&self) -> Result<(), String> {
        match self.max_concurrent {
            0 => Err("limits.max_concurrent is 0, so that no call could ever run: use 1 or more"
                .to_owned()),
            _ => Ok(()),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_concurrent: 1024 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_could_run_nothing_is_refused_by_name() {
        Limits::default().validate().unwrap();
        let refused = Limits { max_concurrent: 0 }.validate().unwrap_err();
        assert!(refused.contains("limits.max_concurrent"), "{refused}");
    }
}
