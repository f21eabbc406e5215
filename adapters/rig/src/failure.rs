//! Errors of a provider as rig's, and back.

use rig_core::{ErrorKind as Kind, ErrorReport, ProviderError, ProviderResponseError};
use tollgate_types::{Error, ErrorKind};

/// The provider's error behind one of rig's: its kind, budget, retry signal and ids.
pub fn cause(error: &ProviderError) -> Option<Error> {
    serde_json::from_str(error.provider_response_body()?).ok()
}

/// A report carries the retry signal as it was decided, whatever the status.
pub(crate) fn failed(error: &Error) -> ProviderError {
    let body = error.body();
    let mut report =
        ErrorReport::new(kind(error.kind()), error.to_string()).with_retryable(body.retryable);
    let code = body.code.clone().unwrap_or_else(|| error.kind().as_str().to_owned());
    report = report.with_code(code.clone());
    report.http_status = body.status;
    report.request_id.clone_from(&body.request_id);
    report.refusal = error.kind() == ErrorKind::ContentFiltered;

    let text = serde_json::to_string(error).unwrap_or_default();
    let response = ProviderResponseError::without_status(text)
        .with_status(body.status.and_then(|status| http::StatusCode::from_u16(status).ok()))
        .with_code(Some(code))
        .with_transient(Some(body.retryable))
        .with_refusal(report.refusal)
        .with_provider_request_id(body.request_id.clone());
    report.provider_response = Some(response);
    ProviderError::Relayed(Box::new(report))
}

fn kind(kind: ErrorKind) -> Kind {
    match kind {
        ErrorKind::InvalidRequest
        | ErrorKind::ContextLength
        | ErrorKind::TooLarge
        | ErrorKind::Unsupported => Kind::Request,
        ErrorKind::Timeout => Kind::Timeout,
        ErrorKind::Cancelled => Kind::Cancelled,
        ErrorKind::Connection | ErrorKind::StreamInterrupted => Kind::Http,
        ErrorKind::Protocol => Kind::Response,
        _ => Kind::ProviderResponse,
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
            body.retry_after_ms = Some(7000);
        });
        let rigs = failed(&error);
        assert_eq!(cause(&rigs), Some(error));
        assert!(!rigs.is_retryable());
        assert_eq!(rigs.provider_request_id(), Some("req-1"));
        assert_eq!(rigs.provider_response_status().map(|status| status.as_u16()), Some(402));
    }

    #[test]
    fn the_retry_signal_outranks_the_status() {
        for retryable in [true, false] {
            let error = Error::new(ErrorKind::Upstream, "it failed").with(|body| {
                body.status = Some(502);
                body.retryable = retryable;
            });
            assert_eq!(failed(&error).is_retryable(), retryable);
        }
    }

    #[test]
    fn another_error_of_rigs_has_no_cause() {
        assert_eq!(cause(&ProviderError::Truncated), None);
    }
}
