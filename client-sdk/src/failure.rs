//! Failures of HTTP as the vocabulary's one error: kind, retry signal, request id.

use reqwest::{Response, StatusCode, header::HeaderMap};
use std::time::Duration;
use tollgate_types::{
    Error, ErrorKind,
    wire::{ErrorEnvelope, header},
};

/// The code of a stream that was silent for too long.
const SILENT: &str = "stream_silent";

/// What the head of an answer says about every error of that answer.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Absent where answers have none.
    status: Option<StatusCode>,
    request_id: Option<String>,
    retry_after_ms: Option<u64>,
}

impl Head {
    pub(crate) fn of(response: &Response) -> Self {
        let headers = response.headers();
        Self {
            status: Some(response.status()),
            request_id: text(headers, header::REQUEST_ID).map(str::to_owned),
            retry_after_ms: retry_after_ms(headers),
        }
    }

    /// Adds what the head knows and the error does not.
    pub(crate) fn stamp(&self, error: Error) -> Error {
        error.with(|body| {
            body.status = body.status.or(self.status.map(|status| status.as_u16()));
            if body.request_id.is_none() {
                body.request_id.clone_from(&self.request_id);
            }
            body.retry_after_ms = body.retry_after_ms.or(self.retry_after_ms);
        })
    }

    /// Tollgate's id of the request, which is the id of its run.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Adds the id of the request to an error that has none.
    pub(crate) fn name(&self, error: Error) -> Error {
        error.with(|body| {
            if body.request_id.is_none() {
                body.request_id.clone_from(&self.request_id);
            }
        })
    }

    /// The peer broke the protocol in this answer.
    pub(crate) fn protocol(&self, message: impl Into<String>) -> Error {
        self.stamp(Error::new(ErrorKind::Protocol, message))
    }

    /// The error that an unsuccessful answer carries. Its own retry signal decides; the status does
    /// only where the body is not Tollgate's, because something between answered. Such a body is
    /// never quoted: a stranger may echo the request, key included.
    pub(crate) fn refusal(&self, body: &[u8]) -> Error {
        let error = match serde_json::from_slice::<ErrorEnvelope>(body) {
            Ok(envelope) => envelope.error,
            Err(_) => foreign(self.status.unwrap_or_default()),
        };
        self.stamp(error)
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// `retry-after-ms`, else `retry-after` in seconds. Its date form is not read: that needs a clock
/// which agrees with the server's.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let number = |name| text(headers, name)?.trim().parse::<u64>().ok();
    number(header::RETRY_AFTER_MS)
        .or_else(|| number(reqwest::header::RETRY_AFTER.as_str())?.checked_mul(1000))
}

fn foreign(status: StatusCode) -> Error {
    let kind = match status.as_u16() {
        401 => ErrorKind::Authentication,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::RateLimited,
        503 | 529 => ErrorKind::Overloaded,
        300..=399 => ErrorKind::Protocol,
        400..=499 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Upstream,
    };
    let message = format!("not a Tollgate answer: HTTP status {status}; check the server's URL");
    let passes = matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504 | 529);
    Error::new(kind, message).with(|body| body.retryable = passes)
}

/// No answer came, or its body broke. The URL is left out of the error: its query may tell more
/// than a log should.
pub(crate) fn transport(error: reqwest::Error) -> Error {
    if error.is_builder() {
        return Error::new(ErrorKind::InvalidRequest, "the request cannot be sent")
            .with_source(error.without_url());
    }
    let what = if error.is_connect() { "cannot connect to" } else { "lost the connection to" };
    let message = format!("{what} the Tollgate server: {}", root_cause(&error));
    Error::new(ErrorKind::Connection, message).with_source(error.without_url())
}

/// The deepest cause says what happened (`Connection refused`), the ones above it only where.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<reqwest::Error>() {
        Some(_) => "no answer".to_owned(),
        None => cause.to_string(),
    }
}

/// The whole call took longer than it may.
pub(crate) fn late() -> Error {
    Error::new(ErrorKind::Timeout, "the call's deadline passed").with(|body| body.retryable = false)
}

/// Nothing arrived on an open stream, not even the server's pings.
pub(crate) fn silent(idle: Duration) -> Error {
    Error::new(ErrorKind::Timeout, format!("the stream was silent for {idle:?}")).with(|body| {
        body.retryable = false;
        body.code = Some(SILENT.to_owned());
    })
}

/// Whether it was the connection that failed, rather than what was asked over it.
pub(crate) fn is_of_the_connection(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StreamInterrupted | ErrorKind::Connection)
        || error.body().code.as_deref() == Some(SILENT)
}

/// The stream ended without saying that it is complete.
pub(crate) fn truncated() -> Error {
    Error::new(ErrorKind::StreamInterrupted, "the stream ended without a finish event")
}

/// The connection of an open stream broke.
pub(crate) fn broken_off(error: reqwest::Error) -> Error {
    let message = format!("the stream broke off: {}", root_cause(&error));
    Error::new(ErrorKind::StreamInterrupted, message).with_source(error.without_url())
}
