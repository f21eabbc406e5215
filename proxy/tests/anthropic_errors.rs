//! Errors of Anthropic and of the gateways compatible with it, read by what they say.
#![cfg(test)]

use tollgate::dialects::{anthropic::StreamDecoder, stream::Decoder, upstream_error::decode_error};
use tollgate_types::{Error, ErrorKind};

fn error(status: u16, headers: &[(&'static str, &str)], body: &str) -> Error {
    let headers =
        headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    decode_error(status, &headers.collect(), body.as_bytes(), "p")
}

fn body(kind: &str, message: &str) -> String {
    format!(
        r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#
    )
}

#[test]
fn errors_are_read_by_what_they_say() {
    use ErrorKind::{
        Authentication, ContextLength, InvalidRequest, NotFound, Overloaded, PermissionDenied,
        QuotaExceeded, RateLimited, Timeout, TooLarge, Upstream,
    };
    let cases = [
        (400, body("invalid_request_error", "messages: too few"), InvalidRequest, false),
        (400, body("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), ContextLength, false),
        (400, body("invalid_request_error", "Your credit balance is too low to go on."), QuotaExceeded, false),
        (402, body("billing_error", "pay"), QuotaExceeded, false),
        (401, body("authentication_error", "invalid x-api-key"), Authentication, false),
        (403, body("permission_error", "no"), PermissionDenied, false),
        (404, body("not_found_error", "model: claude-9"), NotFound, false),
        (413, r#"{"error":{"type":"request_too_large","message":"too large"}}"#.into(), TooLarge, false),
        (429, body("rate_limit_error", "slow down"), RateLimited, true),
        (500, body("api_error", "Internal server error"), Upstream, true),
        (500, r#"{"type":"error","error":{"type":"api_error","message":"Overloaded"},"request_id":null}"#.into(), Overloaded, true),
        (504, body("timeout_error", "too slow"), Timeout, true),
        (529, body("overloaded_error", "Overloaded"), Overloaded, true),
    ];
    for (status, body, kind, retryable) in cases {
        let read = error(status, &[], &body);
        assert_eq!((read.kind(), read.is_retryable()), (kind, retryable), "{body}");
    }
}

#[test]
fn the_id_of_the_request_comes_from_header_or_body() {
    let id = |headers: &[(&'static str, &str)]| {
        error(500, headers, &body("api_error", "m")).body().upstream_request_id.clone()
    };
    assert_eq!(id(&[("request-id", "req_2")]).as_deref(), Some("req_2"));
    assert_eq!(id(&[]).as_deref(), Some("req_1"));
}

#[test]
fn the_wait_comes_from_whichever_header_says_it() {
    let limited = body("rate_limit_error", "slow down");
    let wait =
        |headers: &[(&'static str, &str)]| error(429, headers, &limited).body().retry_after_ms;
    let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
    assert_eq!(wait(&[("retry-after", "12")]), Some(12_000));
    assert_eq!(wait(&[date, ("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT")]), Some(30_000));
    assert_eq!(wait(&[date, ("retry-after", "Wed, 21 Oct 2026 07:27:30 GMT")]), Some(0));
    assert_eq!(wait(&[("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT")]), None);
    let used_up = [
        date,
        ("anthropic-ratelimit-requests-remaining", "5"),
        ("anthropic-ratelimit-requests-reset", "2026-10-21T08:28:00Z"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ("anthropic-ratelimit-input-tokens-reset", "2026-10-21T07:28:07Z"),
        ("anthropic-ratelimit-tokens-remaining", "0"),
        ("anthropic-ratelimit-tokens-reset", "2026-10-21T07:28:05.500Z"),
    ];
    assert_eq!(wait(&used_up), Some(7_000));
    assert_eq!(wait(&[date, ("retry-after", "soon")]), None);
}

#[test]
fn errors_inside_a_stream_have_their_kind_wherever_they_come() {
    let start =
        r#"{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":1}}}"#;
    let overloaded = body("overloaded_error", "Overloaded");
    for before in [&[][..], &[start][..]] {
        let mut decoder = StreamDecoder::new("p");
        for payload in before {
            decoder.push(payload).unwrap();
        }
        let failed = decoder.push(&overloaded).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Overloaded);
        assert_eq!(failed.body().provider.as_deref(), Some("p"));
        assert_eq!(failed.body().upstream_request_id.as_deref(), Some("req_1"));
    }
    let odd = StreamDecoder::new("p").push(r#"{"error":{"message":"Invalid model"}}"#).unwrap_err();
    assert_eq!(odd.kind(), ErrorKind::Upstream);
}
