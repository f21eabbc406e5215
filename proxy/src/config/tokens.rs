//! `[tokens]`: what API keys can be exchanged for.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenAlgorithm {
    /// Ed25519. Each server has a key of its own, which never leaves its memory.
    #[default]
    Eddsa,
    /// HMAC with SHA-256, under keys derived from the secret of a file.
    Hs256,
}

/// Short-lived tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSettings {
    /// Whether there are any.
    pub enabled: bool,
    /// Who says to have made them; tokens of others are refused.
    pub issuer: String,
    /// How they are signed.
    pub algorithm: TokenAlgorithm,
    /// How long they work.
    pub lifetime_seconds: u32,
    /// How many days a key signs.
    pub rotate_days: u32,
    /// How far the clocks of servers may differ.
    pub leeway_seconds: u32,
    /// File with the secret of `hs256`, the same on every server; at least 32 bytes.
    pub secret_file: Option<PathBuf>,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            issuer: "tollgate".to_owned(),
            algorithm: TokenAlgorithm::default(),
            lifetime_seconds: 900,
            rotate_days: 7,
            leeway_seconds: 120,
            secret_file: None,
        }
    }
}

impl TokenSettings {
    pub(super) fn validate(&self) -> Result<(), String> {
        for (name, value, range) in [
            ("lifetime_seconds", self.lifetime_seconds, 1..=86_400),
            ("rotate_days", self.rotate_days, 1..=365),
            ("leeway_seconds", self.leeway_seconds, 0..=600),
        ] {
            if !range.contains(&value) {
                let (least, most) = (range.start(), range.end());
                return Err(format!("tokens.{name} is {value}, use {least} to {most}"));
            }
        }
        let printable = self.issuer.bytes().all(|byte| byte.is_ascii_graphic());
        if self.issuer.is_empty() || self.issuer.len() > 255 || !printable {
            return Err("tokens.issuer must be 1 to 255 ASCII letters without spaces".to_owned());
        }
        if self.algorithm == TokenAlgorithm::Hs256 && self.secret_file.is_none() {
            return Err("tokens.algorithm is hs256, which needs tokens.secret_file".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let good = TokenSettings::default;
        good().validate().unwrap();
        for (settings, named) in [
            (TokenSettings { lifetime_seconds: 0, ..good() }, "lifetime_seconds"),
            (TokenSettings { lifetime_seconds: 86_401, ..good() }, "lifetime_seconds"),
            (TokenSettings { rotate_days: 0, ..good() }, "rotate_days"),
            (TokenSettings { leeway_seconds: 601, ..good() }, "leeway_seconds"),
            (TokenSettings { issuer: String::new(), ..good() }, "issuer"),
            (TokenSettings { issuer: "a b".to_owned(), ..good() }, "issuer"),
            (TokenSettings { algorithm: TokenAlgorithm::Hs256, ..good() }, "secret_file"),
        ] {
            assert!(settings.validate().unwrap_err().contains(named), "{named}");
        }
    }
}
