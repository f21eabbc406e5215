//! Tollgate's own API: the shared vocabulary as JSON, unknown fields refused.

mod budgets;
mod count_tokens;
mod delegate;
mod embed;
mod estimate;
mod generate;
pub(super) mod models;
mod runs;
mod stream;
mod token;
pub(super) mod usage;

use super::{front::Front, problem};
use axum::{
    Router,
    http::StatusCode,
    routing::{delete, get, post},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tollgate_types::{
    Error, ErrorKind, GenerateRequest, Result,
    wire::{ErrorEnvelope, path},
};

/// Errors in Tollgate's own shape.
#[derive(Debug)]
pub(super) struct Shape;

type Problem = problem::Problem<Shape>;

impl problem::Shape for Shape {
    fn body(error: &Error, status: StatusCode) -> impl Serialize {
        let error = error.clone().with(|body| body.status = Some(status.as_u16()));
        ErrorEnvelope { error }
    }
}

/// Every path of the native API.
pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route(path::GENERATE, post(generate::generate))
        .route(path::STREAM, post(stream::stream))
        .route(path::EMBED, post(embed::embed))
        .route(path::COUNT_TOKENS, post(count_tokens::count_tokens))
        .route(path::ESTIMATE, post(estimate::estimate))
        .route(path::MODELS, get(models::models))
        .route(path::USAGE, get(usage::usage))
        .route(path::USAGE_EXPORT, get(usage::export::export))
        .route(&format!("{}/{{id}}", path::RUNS), get(runs::show).delete(runs::cancel))
        .route(&format!("{}/{{id}}/events", path::RUNS), get(runs::events))
        .route(path::BUDGETS, get(budgets::budgets))
        .route(path::TOKEN, post(token::issue))
        .route(path::DELEGATE, get(delegate::list).post(delegate::create))
        .route(&format!("{}/{{id}}", path::DELEGATE), delete(delegate::revoke))
}

/// Reads a body of the native API.
///
/// # Errors
/// `invalid_request` that names the field and the place.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    let mut source = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        if path == "." {
            Error::new(ErrorKind::InvalidRequest, message)
        } else {
            Error::invalid(path.clone(), format!("{path}: {message}"))
        }
    })?;
    source.end().map_err(|error| Error::new(ErrorKind::InvalidRequest, error.to_string()))?;
    Ok(value)
}

/// Reads what a model is asked. Without a message there is nothing to answer, unless the request
/// continues a conversation that the provider keeps.
///
/// # Errors
/// As [`parse`].
pub(super) fn parse_request(body: &[u8]) -> Result<GenerateRequest> {
    complete(parse(body)?)
}

/// Refuses a request in which nothing is asked.
///
/// # Errors
/// `invalid_request` that names the field.
pub(super) fn complete(request: GenerateRequest) -> Result<GenerateRequest> {
    if request.messages.is_empty() && request.continues.is_none() {
        return Err(Error::invalid("messages", "messages must not be empty"));
    }
    Ok(request)
}
