//! The one table from errors to statuses of gRPC. The whole error travels beside the status.

use super::call::Problem;
use crate::ingress::{observe::RequestId, problem, reply};
use axum::{Extension, body::Body, http::Response};
use tollgate_types::{
    Blame, Error, ErrorKind,
    proto::metadata::{ERROR, RETRY_PUSHBACK},
    wire::header::REQUEST_ID,
};
use tonic::{
    Code, Status,
    metadata::{MetadataMap, MetadataValue},
};

/// The longest sentence of an error that is sent as metadata, bytes: clients accept no more than
/// 8 to 16 KiB of it.
const LONGEST: usize = 1024;
/// The longest error as JSON.
const LONGEST_JSON: usize = 4 * LONGEST;

/// There is no such method.
pub(super) async fn unknown_method(
    Extension(RequestId(id)): Extension<RequestId>,
) -> Response<Body> {
    let error = Error::new(ErrorKind::Unsupported, "there is no such method; see docs/grpc.md")
        .with(|body| body.code = Some("method_not_found".to_owned()));
    refuse(error.into(), &id)
}

/// An answer that is nothing but a status.
pub(super) fn refuse(problem: Problem, request_id: &str) -> Response<Body> {
    let (error, rates) = problem.into_parts();
    let mut response: Response<Body> = of(&error, request_id).into_http();
    reply::put_rates(response.headers_mut(), &rates);
    response
}

/// The status of an error, with everything that the error says.
pub(super) fn of(error: &Error, request_id: &str) -> Status {
    let status = problem::status_of(error).as_u16();
    let error = error.clone().with(|body| {
        body.status = Some(status);
        body.request_id.get_or_insert_with(|| request_id.to_owned());
    });
    let mut metadata = MetadataMap::new();
    metadata.insert_bin(ERROR, MetadataValue::from_bytes(&written(&error)));
    if let Some(wait) = pushback(&error) {
        metadata.insert(RETRY_PUSHBACK, MetadataValue::from(wait));
    }
    if let Some(Ok(id)) = error.request_id().map(MetadataValue::try_from) {
        metadata.insert(REQUEST_ID, id);
    }
    Status::with_metadata(code_of(&error), shortened(error.message()), metadata)
}

/// The code of an error.
fn code_of(error: &Error) -> Code {
    match error.kind() {
        // The operator's account at a provider is refused or used up: not the caller's.
        ErrorKind::PermissionDenied | ErrorKind::Authentication | ErrorKind::QuotaExceeded
            if error.body().blame == Blame::Upstream =>
        {
            Code::Unavailable
        }
        ErrorKind::InvalidRequest | ErrorKind::ContextLength => Code::InvalidArgument,
        ErrorKind::Authentication => Code::Unauthenticated,
        ErrorKind::PermissionDenied | ErrorKind::ContentFiltered => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::TooLarge | ErrorKind::QuotaExceeded | ErrorKind::RateLimited => {
            Code::ResourceExhausted
        }
        ErrorKind::Unsupported => Code::Unimplemented,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Conflict if error.is_retryable() => Code::Aborted,
        ErrorKind::Conflict => Code::AlreadyExists,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Overloaded
        | ErrorKind::Upstream
        | ErrorKind::Connection
        | ErrorKind::StreamInterrupted => Code::Unavailable,
        _ => Code::Internal,
    }
}

/// Milliseconds to wait before a retry; negative where there shall be none (gRPC's proposal A6).
fn pushback(error: &Error) -> Option<i64> {
    if !error.is_retryable() {
        return Some(-1);
    }
    error.retry_after().map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

/// The error as JSON that fits into metadata.
fn written(error: &Error) -> Vec<u8> {
    let json = |error: &Error| serde_json::to_vec(error).unwrap_or_default();
    let whole = json(error);
    if whole.len() <= LONGEST_JSON {
        return whole;
    }
    let short = error.clone().with(|body| {
        body.message = shortened(&body.message);
        body.code = body.code.as_deref().map(shortened);
        body.param = body.param.as_deref().map(shortened);
    });
    let short = json(&short);
    if short.len() <= LONGEST_JSON {
        return short;
    }
    let body = error.body();
    let least = Error::new(body.kind, shortened(&body.message)).with(|least| {
        least.status = body.status;
        least.request_id.clone_from(&body.request_id);
        least.retryable = body.retryable;
        least.retry_after_ms = body.retry_after_ms;
        least.blame = body.blame;
    });
    json(&least)
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let fits = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= LONGEST);
    fits.map(|(_, c)| c).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(status: &Status) -> Error {
        let bytes = status.metadata().get_bin(ERROR).unwrap().to_bytes().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn every_kind_has_its_code_and_comes_back_whole() {
        for (kind, code) in [
            (ErrorKind::InvalidRequest, Code::InvalidArgument),
            (ErrorKind::ContextLength, Code::InvalidArgument),
            (ErrorKind::Authentication, Code::Unauthenticated),
            (ErrorKind::PermissionDenied, Code::PermissionDenied),
            (ErrorKind::NotFound, Code::NotFound),
            (ErrorKind::TooLarge, Code::ResourceExhausted),
            (ErrorKind::QuotaExceeded, Code::ResourceExhausted),
            (ErrorKind::RateLimited, Code::ResourceExhausted),
            (ErrorKind::Unsupported, Code::Unimplemented),
            (ErrorKind::Cancelled, Code::Cancelled),
            (ErrorKind::Conflict, Code::AlreadyExists),
            (ErrorKind::Overloaded, Code::Unavailable),
            (ErrorKind::Upstream, Code::Unavailable),
            (ErrorKind::Timeout, Code::DeadlineExceeded),
            (ErrorKind::Protocol, Code::Internal),
            (ErrorKind::Internal, Code::Internal),
        ] {
            let error = Error::new(kind, "x").with(|body| body.param = Some("p".to_owned()));
            let status = of(&error, "r1");
            assert_eq!(status.code(), code, "{kind}");
            let told = error_of(&status);
            assert_eq!((told.kind(), told.request_id()), (kind, Some("r1")));
            assert_eq!(told.body().param.as_deref(), Some("p"));
        }
    }

    #[test]
    fn who_shall_not_come_back_is_told_so() {
        let pushed = |error: Error| {
            let status = of(&error, "r1");
            status.metadata().get(RETRY_PUSHBACK).map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(pushed(Error::invalid("a", "b")).as_deref(), Some("-1"));
        let busy = Error::new(ErrorKind::Overloaded, "busy");
        assert_eq!(pushed(busy.clone()), None);
        let busy = busy.with(|body| body.retry_after_ms = Some(1500));
        assert_eq!(pushed(busy).as_deref(), Some("1500"));
    }

    #[test]
    fn an_error_never_outgrows_what_clients_accept() {
        let long = "ä".repeat(1 << 20);
        let error = Error::invalid(long.clone(), long.clone());
        let error = error.with(|body| {
            body.code = Some(long.clone());
            body.permission = Some(long.clone());
            body.upstream_request_id = Some(long);
        });
        let status = of(&error, "r1");
        assert!(status.message().len() <= LONGEST + 3);
        assert!(
            status.metadata().get_bin(ERROR).unwrap().to_bytes().unwrap().len() <= LONGEST_JSON
        );
        assert_eq!(error_of(&status).kind(), ErrorKind::InvalidRequest);
    }
}
