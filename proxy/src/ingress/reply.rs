//! Pieces that answers of every dialect share.

use super::problem::{retry_headers, status_of};
use crate::gateway::Answer;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
};
use serde::Serialize;
use tollgate_types::{Error, Receipt, wire::header};

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let (status, body) = match serde_json::to_vec(value) {
        Ok(body) => (status, body),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An unsuccessful answer whose body is in the dialect's own shape.
pub(super) fn refusal(error: &Error, body: &impl Serialize) -> Response<Body> {
    let mut response = json(status_of(error), body);
    response.headers_mut().extend(retry_headers(error));
    response
}

/// Puts a header that may be any text; what a header cannot hold is left out.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Headers that say who answers, the limit that budgets imposed, and what is left of the rate.
pub(super) fn describe(headers: &mut HeaderMap, answer: &Answer) {
    put(headers, header::PROVIDER, &answer.target.provider);
    put(headers, header::MODEL, &answer.target.model);
    if let Some(limit) = answer.clamped_to {
        put(headers, header::MAX_OUTPUT, &limit.to_string());
    }
    if let Some(rate) = answer.rate {
        put(headers, "x-ratelimit-limit-requests", &rate.limit.to_string());
        put(headers, "x-ratelimit-remaining-requests", &rate.remaining.to_string());
    }
}

/// Headers that say what was charged.
pub(super) fn charge(headers: &mut HeaderMap, receipt: Option<&Receipt>) {
    if let Some(cost) = receipt.and_then(|receipt| receipt.cost) {
        put(headers, header::COST, &cost.0.to_string());
    }
}
