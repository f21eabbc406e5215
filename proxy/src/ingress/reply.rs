//! Pieces that answers of every dialect share.

use super::stream::Whole;
use crate::gateway::Answer;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
};
use serde::Serialize;
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

/// Headers that say who answers, the limit that budgets imposed, what is left of the rate, and what
/// is not honoured as asked.
pub(super) async fn description(answer: Answer) -> (Answer, HeaderMap) {
    let mut headers = HeaderMap::new();
    put(&mut headers, header::PROVIDER, &answer.target.provider);
    put(&mut headers, header::MODEL, &answer.target.model);
    if let Some(limit) = answer.clamped_to {
        put(&mut headers, header::MAX_OUTPUT, &limit.to_string());
    }
    if let Some(rate) = answer.rate {
        put(&mut headers, "x-ratelimit-limit-requests", &rate.limit.to_string());
        put(&mut headers, "x-ratelimit-remaining-requests", &rate.remaining.to_string());
    }
    let (answer, warnings) = answer.with_warnings().await;
    for warning in warnings {
        let field = warning.param.map(|param| format!(" ({param})")).unwrap_or_default();
        let text = format!("{}{field}: {}", warning.code, warning.message);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(HeaderName::from_static(header::WARNING), value);
        }
    }
    (answer, headers)
}

/// A whole answer: as the upstream wrote it, else in the dialect's words.
pub(super) fn whole<T: Serialize>(
    answer: Whole,
    encode: impl FnOnce(&GenerateResponse) -> T,
) -> Response<Body> {
    let mut response = match answer.verbatim {
        Some(body) => json_text(StatusCode::OK, body.into_bytes()),
        None => json(StatusCode::OK, &encode(&answer.response)),
    };
    charge(response.headers_mut(), answer.response.receipt.as_ref());
    response
}

/// Headers that say what was charged.
pub(super) fn charge(headers: &mut HeaderMap, receipt: Option<&Receipt>) {
    if let Some(cost) = receipt.and_then(|receipt| receipt.cost) {
        put(headers, header::COST, &cost.0.to_string());
    }
}
