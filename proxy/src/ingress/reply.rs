//! Pieces that answers of every dialect share.

use super::stream::Whole;
use crate::{
    access::Target,
    gateway::Answer,
    limits::{RateState, Rates},
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
};
use serde::Serialize;
use std::time::Duration;
use tollgate_types::{GenerateResponse, Receipt, wire::header};

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let (status, body) = match serde_json::to_vec(value) {
        Ok(body) => (status, body),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    };
    json_text(status, body)
}

fn json_text(status: StatusCode, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Puts a header that may be any text; what a header cannot hold is left out.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Headers that say who answers.
pub(super) fn target(target: &Target) -> HeaderMap {
    let mut headers = HeaderMap::new();
    put(&mut headers, header::PROVIDER, &target.provider);
    put(&mut headers, header::MODEL, &target.model);
    headers
}

/// Headers that say who answers, the limit that budgets imposed, what is left of the rate, and what
/// is not honoured as asked.
pub(super) async fn description(answer: &mut Answer) -> HeaderMap {
    let mut headers = target(&answer.target);
    if let Some(limit) = answer.clamped_to {
        put(&mut headers, header::MAX_OUTPUT, &limit.to_string());
    }
    put_rates(&mut headers, &answer.rates);
    for warning in answer.warnings().await {
        let field = warning.param.map(|param| format!(" ({param})")).unwrap_or_default();
        let text = format!("{}{field}: {}", warning.code, warning.message);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(HeaderName::from_static(header::WARNING), value);
        }
    }
    headers
}

/// Headers that say how the caller stands to its rates, as OpenAI words them.
pub(super) fn put_rates(headers: &mut HeaderMap, rates: &Rates) {
    if let Some(RateState { limit, remaining, reset }) = rates.requests {
        put(headers, "x-ratelimit-limit-requests", &limit.to_string());
        put(headers, "x-ratelimit-remaining-requests", &remaining.to_string());
        put(headers, "x-ratelimit-reset-requests", &span(reset));
    }
    if let Some(RateState { limit, remaining, reset }) = rates.tokens {
        put(headers, "x-ratelimit-limit-tokens", &limit.to_string());
        put(headers, "x-ratelimit-remaining-tokens", &remaining.to_string());
        put(headers, "x-ratelimit-reset-tokens", &span(reset));
    }
}

/// A span of time as OpenAI writes it: `120ms`, `1.5s`, `6m0s`, `1h0m0s` (platform.openai.com,
/// "Rate limits").
fn span(time: Duration) -> String {
    let ms = (time.as_nanos() + 500_000) / 1_000_000;
    let (seconds, rest) = (ms / 1000, ms % 1000);
    let part = match rest {
        0 => String::new(),
        rest => format!(".{rest:03}").trim_end_matches('0').to_owned(),
    };
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => format!("{rest}ms"),
        (0, 0, s) => format!("{s}{part}s"),
        (0, m, s) => format!("{m}m{s}{part}s"),
        (h, m, s) => format!("{h}h{m}m{s}{part}s"),
    }
}

/// A whole answer: as the upstream wrote it, else in the dialect's words.
pub(super) fn whole<T: Serialize>(
    answer: Whole,
    encode: impl FnOnce(&GenerateResponse) -> T,
) -> Response<Body> {
    let (mut response, receipt) = match answer {
        Whole::Told(body, receipt) => (json_text(StatusCode::OK, body.into_bytes()), receipt),
        Whole::Folded(answer) => (json(StatusCode::OK, &encode(&answer)), answer.receipt),
    };
    charge(response.headers_mut(), receipt.as_ref());
    response
}

/// Headers that say what was charged.
pub(super) fn charge(headers: &mut HeaderMap, receipt: Option<&Receipt>) {
    if let Some(cost) = receipt.and_then(|receipt| receipt.cost) {
        put(headers, header::COST, &cost.0.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_openai_writes_them() {
        for (ms, written) in [
            (0, "0ms"),
            (120, "120ms"),
            (1000, "1s"),
            (1500, "1.5s"),
            (8640, "8.64s"),
            (360_000, "6m0s"),
            (61_001, "1m1.001s"),
            (86_400_000, "24h0m0s"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), written);
        }
        assert_eq!(span(Duration::from_nanos(59_999_900_000)), "1m0s");
    }
}
