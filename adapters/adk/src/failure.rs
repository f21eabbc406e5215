//! Errors of a provider as adk's, and back.

use adk_core::{AdkError, ErrorCategory, ErrorComponent, RetryHint};
use std::error::Error as _;
use tollgate_types::{Error, ErrorKind};

/// The provider's error behind one of adk's: its kind, budget, retry signal and ids.
pub fn cause(error: &AdkError) -> Option<&Error> {
    error.source()?.downcast_ref()
}

pub(crate) fn failed(error: Error) -> AdkError {
    let body = error.body();
    let retry = RetryHint {
        should_retry: body.retryable,
        retry_after_ms: body.retry_after_ms,
        max_attempts: None,
    };
    let (category, kind) = (category(error.kind()), error.kind().as_str());
    let mut adks =
        AdkError::new(ErrorComponent::Model, category, kind, error.message()).with_retry(retry);
    adks.details.upstream_status_code = body.status;
    adks.details.request_id.clone_from(&body.request_id);
    adks.details.provider.clone_from(&body.provider);
    adks.with_source(error)
}

fn category(kind: ErrorKind) -> ErrorCategory {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::ContextLength | ErrorKind::TooLarge => {
            ErrorCategory::InvalidInput
        }
        ErrorKind::Authentication => ErrorCategory::Unauthorized,
        ErrorKind::PermissionDenied | ErrorKind::QuotaExceeded | ErrorKind::ContentFiltered => {
            ErrorCategory::Forbidden
        }
        ErrorKind::NotFound => ErrorCategory::NotFound,
        ErrorKind::RateLimited => ErrorCategory::RateLimited,
        ErrorKind::Timeout => ErrorCategory::Timeout,
        ErrorKind::Overloaded
        | ErrorKind::Upstream
        | ErrorKind::Connection
        | ErrorKind::StreamInterrupted => ErrorCategory::Unavailable,
        ErrorKind::Cancelled => ErrorCategory::Cancelled,
        ErrorKind::Unsupported => ErrorCategory::Unsupported,
        _ => ErrorCategory::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_kind_its_retry_signal_and_its_ids() {
        let error = Error::new(ErrorKind::QuotaExceeded, "the budget is used up").with(|body| {
            body.status = Some(402);
            body.request_id = Some("req-1".into());
        });
        let adks = failed(error.clone());
        assert_eq!(cause(&adks), Some(&error));
        assert_eq!((adks.code, adks.retry.should_retry), ("quota_exceeded", false));
        assert_eq!(adks.details.upstream_status_code, Some(402));
        assert_eq!(adks.details.request_id.as_deref(), Some("req-1"));
    }

    #[test]
    fn when_to_come_back_is_told() {
        let error = Error::new(ErrorKind::RateLimited, "wait").with(|body| {
            body.retry_after_ms = Some(7000);
        });
        let retry = failed(error).retry;
        assert_eq!((retry.should_retry, retry.retry_after_ms), (true, Some(7000)));
    }
}
