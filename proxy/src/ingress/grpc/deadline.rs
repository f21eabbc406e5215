//! How long a caller waits: `grpc-timeout`.

use axum::http::HeaderMap;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};
use tollgate_types::{Blame, Error, ErrorKind, Result, proto::metadata::TIMEOUT};

/// When a call has to be over; none where the caller waits for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// Reads the caller's deadline. One too far away to be a point in time is none.
    ///
    /// # Errors
    /// `invalid_request` for a time that cannot be read.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self> {
        let Some(value) = headers.get(TIMEOUT) else { return Ok(Self(None)) };
        let span = value.to_str().ok().and_then(read);
        let span = span.ok_or_else(|| {
            Error::invalid(TIMEOUT, "the timeout must be up to 8 digits and one of H M S m u n")
        })?;
        Ok(Self(Instant::now().checked_add(span)))
    }

    /// Waits for work until the deadline, which drops it.
    ///
    /// # Errors
    /// `timeout` when it passes.
    pub(super) async fn before<F: Future>(self, work: F) -> Result<F::Output> {
        match self.0 {
            None => Ok(work.await),
            Some(deadline) => timeout_at(deadline, work).await.map_err(|_| late()),
        }
    }

    /// Resolves when it passes.
    pub(super) async fn passes(self) -> Error {
        match self.0 {
            None => std::future::pending().await,
            Some(deadline) => sleep_until(deadline).await,
        }
        late()
    }
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "the call's deadline passed").with(|body| {
        body.retryable = false;
        body.blame = Blame::Caller;
    })
}

/// `100m`, `5S`: up to eight digits and a unit (grpc/doc/PROTOCOL-HTTP2.md).
fn read(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let digits = text.strip_suffix(unit)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(count * 3600)),
        'M' => Some(Duration::from_secs(count * 60)),
        'S' => Some(Duration::from_secs(count)),
        'm' => Some(Duration::from_millis(count)),
        'u' => Some(Duration::from_micros(count)),
        'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_grpc_writes_them() {
        for (text, span) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("100m", Some(Duration::from_millis(100))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("123456789S", None),
            ("-1S", None),
            ("1 S", None),
            ("1s", None),
            ("1é", None),
        ] {
            assert_eq!(read(text), span, "{text}");
        }
    }
}
