//! `[redis]`: where several servers count rates and running calls together.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// What limits do while Redis does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Each server counts alone, so together they may admit more.
    #[default]
    Local,
    /// Calls that a limit counts are refused.
    Refuse,
}

/// Where several servers count rates and running calls together.
#[derive(Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `redis://` or `rediss://` (TLS); absent: each server counts alone. May hold a password, so it
    /// is never printed.
    #[serde(skip_serializing)]
    pub url: Option<String>,
    /// What limits do while Redis does not answer.
    pub on_failure: OnFailure,
    /// How long a call waits for Redis, milliseconds.
    pub timeout_ms: u64,
    /// How long the place of a call outlives a server that dies, seconds.
    pub lease_seconds: u64,
    /// What every key begins with: servers that share one count together.
    pub prefix: String,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            on_failure: OnFailure::default(),
            timeout_ms: 100,
            lease_seconds: 15,
            prefix: "tollgate".to_owned(),
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("url", &self.url.as_ref().map(|_| "***"))
            .field("on_failure", &self.on_failure)
            .field("timeout_ms", &self.timeout_ms)
            .field("lease_seconds", &self.lease_seconds)
            .field("prefix", &self.prefix)
            .finish()
    }
}

impl Redis {
    pub(super) fn validate(&self) -> Result<(), String> {
        if !(1..=10_000).contains(&self.timeout_ms) {
            return Err("redis.timeout_ms must be 1 to 10000".to_owned());
        }
        if !(1..=3600).contains(&self.lease_seconds) {
            return Err("redis.lease_seconds must be 1 to 3600".to_owned());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.prefix.is_empty() || !self.prefix.chars().all(plain) {
            return Err("redis.prefix must be letters, digits, '-', '_' and '.'".to_owned());
        }
        self.client().map(drop)
    }

    /// The client of the Redis that is named, if one is. Nothing is connected yet.
    ///
    /// # Errors
    /// When the URL is not one of Redis; it is not repeated, for it may hold a password.
    pub fn client(&self) -> Result<Option<redis::Client>, String> {
        let opened = self.url.as_deref().map(redis::Client::open).transpose();
        opened.map_err(|error| {
            // Of the error only its kind, which is a word of the crate's own.
            let kind = error.category();
            format!("redis.url is not right ({kind}), write it like \"redis://127.0.0.1:6379\"")
        })
    }

    /// How long a call waits for Redis.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// How long the place of a call outlives a server that dies.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Redis {
        Redis { url: Some(url.to_owned()), ..Redis::default() }
    }

    #[test]
    fn a_wrong_url_is_refused_and_not_repeated() {
        for url in
            ["", "here", "http://:s3cret@h:6379", "redis://:s3cret@h:port", "redis://:s3cret@h/x"]
        {
            let error = of(url).validate().unwrap_err();
            assert!(error.contains("redis.url") && !error.contains("s3cret"), "{url}: {error}");
        }
        for url in ["redis://h", "redis://:s3cret@127.0.0.1:1/2", "rediss://h:6380"] {
            of(url).validate().unwrap();
        }
        Redis::default().validate().unwrap();
    }

    #[test]
    fn the_password_is_printed_nowhere() {
        let redis = of("redis://:s3cret@h");
        assert!(!format!("{redis:?}").contains("s3cret"));
        assert!(!serde_json::to_string(&redis).unwrap().contains("s3cret"));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (redis, named) in [
            (Redis { timeout_ms: 0, ..Redis::default() }, "timeout_ms"),
            (Redis { lease_seconds: 0, ..Redis::default() }, "lease_seconds"),
            (Redis { prefix: "a{b}".to_owned(), ..Redis::default() }, "prefix"),
            (Redis { prefix: String::new(), ..Redis::default() }, "prefix"),
        ] {
            assert!(redis.validate().unwrap_err().contains(named));
        }
    }
}
