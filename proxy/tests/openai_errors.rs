//! Errors of OpenAI and its compatible hosts, read by what they say.
#![cfg(test)]

use tollgate::dialects::upstream_error::decode_error;
use tollgate_types::{Blame, Error, ErrorKind};

fn error(status: u16, headers: &[(&'static str, &str)], body: &str) -> Error {
    let headers =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    decode_error(status, &headers.collect(), body.as_bytes(), "p")
}

#[test]
fn errors_are_read_by_what_they_say() {
    use ErrorKind::{
        Authentication, ContentFiltered, ContextLength, NotFound, Overloaded, QuotaExceeded,
        RateLimited, Upstream,
    };
    let coded = |code: &str| {
        format!(r#"{{"error":{{"message":"m","type":"t","param":null,"code":"{code}"}}}}"#)
    };
    let cases = [
        (429, coded("insufficient_quota"), QuotaExceeded, false),
        (429, coded("rate_limit_exceeded"), RateLimited, true),
        (400, coded("context_length_exceeded"), ContextLength, false),
        (400, coded("model_not_found"), NotFound, false),
        (400, coded("invalid_api_key"), Authentication, false),
        (400, coded("content_filter"), ContentFiltered, false),
        (400, r#"{"error":{"message":"This model's maximum context length is 10"}}"#.into(), ContextLength, false),
        (500, r#"{"message":"Service is overloaded"}"#.into(), Overloaded, true),
        (401, r#"{"detail":"Unauthorized"}"#.into(), Authentication, false),
        (502, "<html>Bad Gateway</html>".into(), Upstream, true),
        (429, r#"[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED"}}]"#.into(), RateLimited, true),
    ];
    for (status, body, kind, retryable) in cases {
        let read = error(status, &[("x-request-id", "r1")], &body);
        assert_eq!((read.kind(), read.is_retryable()), (kind, retryable), "{body}");
        assert_eq!(read.body().upstream_request_id.as_deref(), Some("r1"));
    }
    let echo = error(
        401,
        &[],
        r#"{"error":{"message":"Incorrect API key provided: sk-proj-123456789."}}"#,
    );
    assert!(!echo.message().contains("sk-proj"), "{echo}");
    assert_eq!(echo.body().blame, Blame::Upstream, "it is not the caller's key");
}

#[test]
fn the_wait_comes_from_whichever_header_says_it() {
    let wait = |headers: &[(&'static str, &str)]| error(429, headers, "{}").body().retry_after_ms;
    assert_eq!(wait(&[("retry-after", "2"), ("retry-after-ms", "1500")]), Some(1500));
    assert_eq!(wait(&[("retry-after", "1.5")]), Some(1500));
    let exhausted = [
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "1m2.5s"),
        ("x-ratelimit-remaining-requests", "7"),
        ("x-ratelimit-reset-requests", "9h"),
    ];
    assert_eq!(wait(&exhausted), Some(62_500));
    assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), None);
    assert_eq!(wait(&[]), None);
}
