//! Errors of Google, read by what they say.
#![cfg(test)]

use http::HeaderMap;
use serde_json::{Value, json};
use tollgate::dialects::upstream_error::decode_error;
use tollgate_types::{Error, ErrorKind};

fn error(status: u16, body: &Value) -> Error {
    decode_error(status, &HeaderMap::new(), body.to_string().as_bytes(), "p")
}

fn told(code: u16, status: &str, message: &str, details: Value) -> Value {
    json!({"error": {"code": code, "message": message, "status": status, "details": details}})
}

#[test]
fn errors_are_read_by_what_they_say() {
    let reason = |reason: &str| json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]);
    let invalid = "INVALID_ARGUMENT";
    let too_long =
        "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).";
    for (status, body, kind, retryable) in [
        (
            400,
            told(400, invalid, "API key expired. Renew it.", reason("API_KEY_INVALID")),
            ErrorKind::Authentication,
            false,
        ),
        (
            400,
            told(400, invalid, "API key not valid.", json!([])),
            ErrorKind::Authentication,
            false,
        ),
        (
            401,
            told(401, "UNAUTHENTICATED", "no", reason("ACCESS_TOKEN_EXPIRED")),
            ErrorKind::Authentication,
            false,
        ),
        (400, told(400, invalid, too_long, json!([])), ErrorKind::ContextLength, false),
        (
            404,
            told(404, "NOT_FOUND", "models/x is not found", json!([])),
            ErrorKind::NotFound,
            false,
        ),
        (
            429,
            told(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", json!([])),
            ErrorKind::QuotaExceeded,
            false,
        ),
        (
            429,
            told(
                429,
                "RESOURCE_EXHAUSTED",
                "Quota exceeded for requests per minute",
                reason("RATE_LIMIT_EXCEEDED"),
            ),
            ErrorKind::RateLimited,
            true,
        ),
        (
            503,
            told(503, "UNAVAILABLE", "The model is overloaded.", json!([])),
            ErrorKind::Overloaded,
            true,
        ),
        (499, json!([told(499, "CANCELLED", "stopped", json!([]))]), ErrorKind::Cancelled, false),
    ] {
        let read = error(status, &body);
        assert_eq!((read.kind(), read.is_retryable()), (kind, retryable), "{body}");
    }
}

#[test]
fn the_wait_stands_in_the_details() {
    let wait = json!([{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}]);
    let read =
        error(429, &told(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", wait));
    assert_eq!((read.kind(), read.body().retry_after_ms), (ErrorKind::RateLimited, Some(34_400)));
}
