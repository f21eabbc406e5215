//! `[runs]`: how long calls outlive their connections, and how much of them is kept.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The smallest bound of bytes: less would stop every answer at once.
const LEAST_BYTES: usize = 64 * 1024;

/// Calls that can be joined again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunSettings {
    /// How long a resumable call goes on without anybody who reads it, seconds.
    pub grace_seconds: u64,
    /// How long a call that has ended can be read again, and its idempotency key belongs to it,
    /// seconds.
    pub keep_seconds: u64,
    /// How much of a resumable call is kept while it runs, bytes: the provider is not read further
    /// than that ahead of the caller.
    pub buffer_bytes: usize,
    /// How much of any other call with an idempotency key is kept, bytes. What is larger cannot be
    /// replayed.
    pub replay_bytes: usize,
    /// How much is kept of all calls together, bytes.
    pub total_bytes: usize,
    /// Whether calls with an idempotency key stand in the database before they are made, so that
    /// they do not run twice on several servers or after a crash.
    pub durable: bool,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            grace_seconds: 30,
            keep_seconds: 600,
            buffer_bytes: 8 << 20,
            replay_bytes: 1 << 20,
            total_bytes: 256 << 20,
            durable: true,
        }
    }
}

impl RunSettings {
    pub(super) fn validate(&self) -> Result<(), String> {
        let times = [("grace_seconds", self.grace_seconds), ("keep_seconds", self.keep_seconds)];
        for (name, seconds) in times {
            if !(1..=86_400).contains(&seconds) {
                return Err(format!("runs.{name} is {seconds}, use 1 to 86400"));
            }
        }
        let sizes = [
            ("buffer_bytes", self.buffer_bytes),
            ("replay_bytes", self.replay_bytes),
            ("total_bytes", self.total_bytes),
        ];
        for (name, bytes) in sizes {
            if bytes < LEAST_BYTES {
                return Err(format!("runs.{name} is {bytes}, use at least {LEAST_BYTES}"));
            }
        }
        Ok(())
    }

    /// How long a resumable call goes on without anybody who reads it.
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_seconds)
    }

    /// How long a call that has ended can be read again.
    pub fn keep(&self) -> Duration {
        Duration::from_secs(self.keep_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let ok = RunSettings::default;
        ok().validate().unwrap();
        for (settings, named) in [
            (RunSettings { grace_seconds: 0, ..ok() }, "runs.grace_seconds"),
            (RunSettings { keep_seconds: 86_401, ..ok() }, "runs.keep_seconds"),
            (RunSettings { buffer_bytes: 0, ..ok() }, "runs.buffer_bytes"),
            (RunSettings { replay_bytes: 1000, ..ok() }, "runs.replay_bytes"),
            (RunSettings { total_bytes: 1, ..ok() }, "runs.total_bytes"),
        ] {
            assert!(settings.validate().unwrap_err().contains(named));
        }
    }
}
