//! Failures of HTTP as the vocabulary's one error: kind, retry signal, request id, and what to do.

mod encryption;

use reqwest::{Response, StatusCode, Url, header::HeaderMap};
use std::{error::Error as StdError, io, time::Duration};
use tollgate_types::{
    Error, ErrorKind,
    wire::{ErrorEnvelope, header},
};

/// Code of an answer that no Tollgate server gave.
const NOT_TOLLGATE: &str = "not_tollgate";
/// Code of an answer of a server that lacks what was asked for.
const UNKNOWN_PATH: &str = "unknown_path";

/// The code of a stream that was silent for too long.
const SILENT: &str = "stream_silent";

/// What the head of an answer says about every error of that answer.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    /// Absent where answers have none.
    status: Option<StatusCode>,
    request_id: Option<String>,
    retry_after_ms: Option<u64>,
    /// Where a redirect points to, without its path: that may echo the request.
    moved_to: Option<String>,
}

impl Head {
    pub(crate) fn of(response: &Response) -> Self {
        let headers = response.headers();
        Self {
            status: Some(response.status()),
            request_id: text(headers, header::REQUEST_ID).map(str::to_owned),
            retry_after_ms: retry_after_ms(headers),
            moved_to: moved_to(response),
        }
    }

    /// The head of an answer that has neither status nor headers.
    #[cfg(feature = "websocket")]
    pub(crate) fn named(request_id: Option<String>) -> Self {
        Self { status: None, request_id, retry_after_ms: None, moved_to: None }
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

    /// The answer is not one that a Tollgate server gives.
    pub(crate) fn not_tollgate(&self, what: &str) -> Error {
        let message = format!(
            "{what}: what answers there is not Tollgate (or one that speaks differently), check \
             the server's URL"
        );
        self.protocol(message).with(|body| body.code = Some(NOT_TOLLGATE.to_owned()))
    }

    /// JSON that cannot be read. What stands there is not quoted: a stranger may echo the request.
    pub(crate) fn unreadable(&self, what: &str, error: &serde_json::Error) -> Error {
        let (line, column) = (error.line(), error.column());
        self.not_tollgate(&format!("{what} cannot be read (line {line}, column {column})"))
    }

    /// The error that an unsuccessful answer carries. Its own retry signal decides; the status does
    /// only where the body is not Tollgate's, because something between answered. Such a body is
    /// never quoted: a stranger may echo the request, key included.
    pub(crate) fn refusal(&self, body: &[u8]) -> Error {
        let error = match serde_json::from_slice::<ErrorEnvelope>(body) {
            Ok(envelope) => told(envelope.error),
            Err(_) => self.foreign(),
        };
        self.stamp(error)
    }

    fn foreign(&self) -> Error {
        let status = self.status.unwrap_or_default();
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
        let message = match &self.moved_to {
            Some(place) => format!(
                "the server redirects to {place} and redirects are not followed: if you trust that \
                 address, use it in the server's URL"
            ),
            None => {
                format!("not a Tollgate answer: HTTP status {status}; check the server's URL")
            }
        };
        let passes = matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504 | 529);
        Error::new(kind, message).with(|body| {
            body.retryable = passes;
            body.code = Some(NOT_TOLLGATE.to_owned());
        })
    }
}

/// A server's own error. One that has no such path was asked at the wrong address, or does not have
/// yet what this client asks for: the caller cannot mend the request.
fn told(error: Error) -> Error {
    let unknown = match error.body().param.as_deref() {
        Some("path") => error.kind() == ErrorKind::NotFound,
        Some("method") => error.kind() == ErrorKind::InvalidRequest,
        _ => false,
    };
    if !unknown {
        return error;
    }
    let message = "the server does not have what was asked for: it is older than this client and \
                   needs an update, or its URL ends with a path that does not belong there";
    error.with(|body| {
        body.kind = ErrorKind::Unsupported;
        body.message = message.to_owned();
        body.code = Some(UNKNOWN_PATH.to_owned());
    })
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

fn moved_to(response: &Response) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let to = text(response.headers(), reqwest::header::LOCATION.as_str())?;
    Some(response.url().join(to).ok()?.origin().ascii_serialization())
}

/// No answer came, or its body broke. The URL is left out of the error: its query may tell more
/// than a log should.
pub(crate) fn transport(error: reqwest::Error) -> Error {
    if error.is_builder() {
        return Error::new(ErrorKind::InvalidRequest, "the request cannot be sent")
            .with_source(error.without_url());
    }
    let known = causes(&error).find_map(|cause| {
        let encryption = cause.downcast_ref::<rustls::Error>().map(encryption::explain);
        encryption.or_else(|| cause.downcast_ref::<hyper::Error>().and_then(not_http))
    });
    let explained = known.unwrap_or_else(|| {
        let place = error.url().map(|url| format!(" at {}", authority(url))).unwrap_or_default();
        let cause = root_cause(&error);
        let message = match error.is_connect() {
            true => format!(
                "cannot connect to the Tollgate server{place}: {cause}; is it running, and is \
                 its URL right?"
            ),
            false => format!("lost the connection to the Tollgate server{place}: {cause}"),
        };
        Error::new(ErrorKind::Connection, message)
    });
    explained.with_source(error.without_url())
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// Bytes came that are not an answer.
fn not_http(error: &hyper::Error) -> Option<Error> {
    let message = "what answers there does not speak HTTP: check the server's URL, its port and \
                   whether it begins with https://";
    error.is_parse().then(|| {
        Error::new(ErrorKind::Protocol, message)
            .with(|body| body.code = Some("not_http".to_owned()))
    })
}

/// An error and everything underneath. An I/O error hides what it carries: its source is that of
/// the error inside.
pub(crate) fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'e (dyn StdError + 'static) = *error;
        let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        carried.map(|inner| inner as &(dyn StdError + 'static)).or_else(|| error.source())
    })
}

/// What is underneath of everything.
#[cfg(feature = "grpc")]
pub(crate) fn deepest(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or_else(|| "no answer".to_owned(), ToString::to_string)
}

/// The deepest cause says what happened (`Connection refused`), the ones above it only where.
fn root_cause(error: &reqwest::Error) -> String {
    match causes(error).last() {
        Some(cause) if !cause.is::<reqwest::Error>() => cause.to_string(),
        _ => "no answer".to_owned(),
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

/// A server did not answer who wanted to join a run again.
pub(crate) fn unanswered() -> Error {
    Error::new(ErrorKind::Timeout, "the server did not answer")
}

/// Whether a server lost the other one that makes the run.
pub(crate) fn is_of_the_way(error: &Error) -> bool {
    error.kind() == ErrorKind::StreamInterrupted
        && error.body().code.as_deref() == Some("run_elsewhere")
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
