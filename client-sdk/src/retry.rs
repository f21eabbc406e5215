//! When a failed attempt is made again, and after how long.

use crate::failure;
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};
use tollgate_types::{Error, Result};

/// How a failed call is tried again: exponential waits with full jitter. Only errors that say they
/// are retryable are, and a stream after its first event only where it can be joined again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first one. Default 2.
    pub max_retries: u32,
    /// Longest wait before the first retry; it doubles with each one. Default 0.5 s.
    pub initial_wait: Duration,
    /// Longest wait before any retry, unless the server asks for more. Default 8 s.
    pub max_wait: Duration,
    /// A server that asks for a longer wait than this is not waited for: the error is returned at
    /// once, with its `retry_after`. Default 60 s.
    pub max_retry_after: Duration,
    /// How often in a row a resumable stream whose connection broke is joined again. Default 10,
    /// which takes about as long as the server keeps the run by default.
    pub max_reconnects: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 2,
            initial_wait: Duration::from_millis(500),
            max_wait: Duration::from_secs(8),
            max_retry_after: Duration::from_secs(60),
            max_reconnects: 10,
        }
    }
}

impl RetryPolicy {
    /// The policy for joining a run again.
    pub(crate) fn joining(self) -> Self {
        Self { max_retries: self.max_reconnects, ..self }
    }

    /// Runs attempts (numbered from 0) until one succeeds, fails for good, or the deadline passes.
    pub(crate) async fn run<T, F>(
        &self,
        deadline: Option<Instant>,
        attempt: impl Fn(u32) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let mut tried = 0;
        loop {
            let error = match before(deadline, attempt(tried)).await {
                Ok(Err(error)) => error,
                Ok(Ok(done)) => return Ok(done),
                Err(late) => return Err(late),
            };
            let Some(wait) = self.wait_after(tried, &error) else { return Err(error) };
            if deadline.is_some_and(|deadline| Instant::now() + wait >= deadline) {
                return Err(error);
            }
            tracing::debug!(
                tried,
                wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                kind = error.kind().as_str(),
                "trying again"
            );
            sleep(wait).await;
            tried += 1;
        }
    }

    /// How long to wait before the next attempt; `None` when there shall be none.
    fn wait_after(&self, tried: u32, error: &Error) -> Option<Duration> {
        if tried >= self.max_retries || !error.is_retryable() {
            return None;
        }
        let longest = self.initial_wait.saturating_mul(1 << tried.min(16)).min(self.max_wait);
        let longest_ms = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        let backoff = Duration::from_millis(fastrand::u64(0..=longest_ms));
        match error.retry_after() {
            Some(asked) if asked > self.max_retry_after => None,
            Some(asked) => Some(asked.max(backoff)),
            None => Some(backoff),
        }
    }
}

/// Waits for a future until the deadline. Passing it drops the future, which closes its connection.
pub(crate) async fn before<F: Future>(deadline: Option<Instant>, work: F) -> Result<F::Output> {
    match deadline {
        None => Ok(work.await),
        Some(deadline) => timeout_at(deadline, work).await.map_err(|_| failure::late()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_types::ErrorKind;

    fn overloaded(retry_after_ms: Option<u64>) -> Error {
        Error::new(ErrorKind::Overloaded, "busy").with(|body| body.retry_after_ms = retry_after_ms)
    }

    #[test]
    fn waits_grow_stay_under_the_limit_and_obey_the_server() {
        let policy = RetryPolicy { max_retries: 100, ..RetryPolicy::default() };
        for tried in 0..100 {
            let wait = policy.wait_after(tried, &overloaded(None)).unwrap();
            assert!(wait <= Duration::from_millis(500 << tried.min(4)), "{tried}: {wait:?}");
        }
        let asked = policy.wait_after(0, &overloaded(Some(30_000)));
        assert_eq!(asked, Some(Duration::from_secs(30)));
        assert_eq!(policy.wait_after(0, &overloaded(Some(61_000))), None);
    }

    #[test]
    fn what_cannot_pass_is_not_tried_again() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait_after(2, &overloaded(None)), None);
        assert_eq!(policy.wait_after(0, &Error::invalid("model", "no such model")), None);
    }
}
