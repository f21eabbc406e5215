//! One error for every provider, local or remote: it crosses the wire and is shared by a stream
//! and its caller.

use crate::{BudgetStatus, lenient};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc, time::Duration};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is malformed: mend it.
    InvalidRequest,
    /// No credential, or a bad one.
    Authentication,
    /// The credential is good but does not permit this.
    PermissionDenied,
    /// No such model or thing.
    NotFound,
    /// The request does not fit the model's context: shrink it.
    ContextLength,
    /// The body is larger than accepted.
    TooLarge,
    /// A budget is used up.
    QuotaExceeded,
    /// Too many requests: wait.
    RateLimited,
    /// The provider withheld the answer.
    ContentFiltered,
    /// The provider or the proxy has too much to do: wait.
    Overloaded,
    /// The provider failed.
    Upstream,
    /// Nothing came in time.
    Timeout,
    /// No reply at all: name lookup, connect, TLS, reset before headers.
    Connection,
    /// The answer began and then broke.
    StreamInterrupted,
    /// The call was cancelled.
    Cancelled,
    /// The peer broke the protocol.
    Protocol,
    /// The provider cannot honour what was asked.
    Unsupported,
    /// The request contradicts another one.
    Conflict,
    /// A defect or a broken part of the proxy.
    Internal,
    /// A kind that a newer server knows.
    #[serde(other)]
    Other,
}

impl ErrorKind {
    /// The kind's word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Authentication => "authentication",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::ContextLength => "context_length",
            Self::TooLarge => "too_large",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimited => "rate_limited",
            Self::ContentFiltered => "content_filtered",
            Self::Overloaded => "overloaded",
            Self::Upstream => "upstream",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::StreamInterrupted => "stream_interrupted",
            Self::Cancelled => "cancelled",
            Self::Protocol => "protocol",
            Self::Unsupported => "unsupported",
            Self::Conflict => "conflict",
            Self::Internal => "internal",
            Self::Other => "other",
        }
    }

    /// Whether a failure of this kind is usually gone when tried again.
    fn usually_passes(self) -> bool {
        matches!(
            self,
            Self::RateLimited
                | Self::Overloaded
                | Self::Timeout
                | Self::Connection
                | Self::Upstream
        )
    }

    fn blame(self) -> Blame {
        match self {
            Self::InvalidRequest
            | Self::Authentication
            | Self::PermissionDenied
            | Self::NotFound
            | Self::ContextLength
            | Self::TooLarge
            | Self::QuotaExceeded
            | Self::RateLimited
            | Self::Unsupported
            | Self::Conflict
            | Self::Cancelled => Blame::Caller,
            Self::Internal => Blame::Us,
            _ => Blame::Upstream,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who has to act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The one who asked.
    Caller,
    /// The program that reports it.
    Us,
    /// The provider behind, and whoever a newer server names.
    #[default]
    #[serde(other)]
    Upstream,
}

/// One error for every provider. Boxed, so that `Result<T, Error>` stays small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Error(Box<ErrorBody>);

/// What an [`Error`] says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorBody {
    /// What went wrong.
    pub kind: ErrorKind,
    /// A sentence for people.
    pub message: String,
    /// The provider's own code, verbatim (`insufficient_quota`, `overloaded_error` ...), or the
    /// client's word for what it found wrong with the way to the server (`not_tollgate`,
    /// `certificate_expired` ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The field of the request that is at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// HTTP status of the answer that carried the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The provider that said so; absent: the proxy or the client itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Tollgate's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The upstream's id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_request_id: Option<String>,
    /// The one retry signal, decided where the failure was seen.
    #[serde(default)]
    pub retryable: bool,
    /// How long to wait before a retry, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Who has to act.
    #[serde(default)]
    pub blame: Blame,
    /// The permission that is missing (`model:openai/gpt-4o`, `feature:stream` ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// The budget that is used up.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::if_readable"
    )]
    pub quota: Option<BudgetStatus>,
    /// The failure underneath; stays in this process.
    #[serde(skip)]
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// Equal when they say the same; the source underneath does not count.
impl PartialEq for ErrorBody {
    fn eq(&self, other: &Self) -> bool {
        let said = |e: &Self| serde_json::to_value(e).ok();
        said(self) == said(other)
    }
}

impl Error {
    /// An error of a kind; whether it can be retried and whom to blame follow from the kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorBody {
            kind,
            message: message.into(),
            code: None,
            param: None,
            status: None,
            provider: None,
            request_id: None,
            upstream_request_id: None,
            retryable: kind.usually_passes(),
            retry_after_ms: None,
            blame: kind.blame(),
            permission: None,
            quota: None,
            source: None,
        }))
    }

    /// The backend has no such ability.
    pub fn unsupported(what: &str) -> Self {
        Self::new(ErrorKind::Unsupported, format!("this provider does not offer {what}"))
    }

    /// A field of the request is wrong.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::InvalidRequest, message);
        error.0.param = Some(param.into());
        error
    }

    /// Keeps the failure underneath for logs.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// Changes what the error says.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut ErrorBody)) -> Self {
        change(&mut self.0);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// A sentence for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether trying again can help.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }

    /// How long to wait before a retry.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after_ms.map(Duration::from_millis)
    }

    /// Tollgate's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Everything the error says.
    pub fn body(&self) -> &ErrorBody {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(id) = &self.0.request_id {
            write!(f, " (request {id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_crosses_the_wire_whole() {
        let error = Error::invalid("sampling.top_p", "top_p must be between 0 and 1")
            .with(|body| body.status = Some(400));
        let json = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<Error>(&json).unwrap(), error);
        assert!(json.contains(r#""kind":"invalid_request""#), "{json}");
    }

    #[test]
    fn a_kind_of_a_newer_server_is_read_as_other() {
        let kind: ErrorKind = serde_json::from_str(r#""quantum_decoherence""#).unwrap();
        assert_eq!(kind, ErrorKind::Other);
    }

    #[test]
    fn every_kind_says_its_wire_word() {
        for kind in [ErrorKind::InvalidRequest, ErrorKind::TooLarge, ErrorKind::StreamInterrupted] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
    }
}
