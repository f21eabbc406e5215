//! Tollgate's own API: the shared vocabulary as JSON, unknown fields refused.

pub(super) mod budgets;
pub(super) mod count_tokens;
pub(super) mod embed;
pub(super) mod generate;
pub(super) mod models;
pub(super) mod stream;
pub(super) mod usage;

use super::{problem, reply};
use crate::gateway::Refusal;
use axum::{
    body::Body,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use serde::de::DeserializeOwned;
use tollgate_types::{Error, ErrorKind, GenerateRequest, Result, wire::ErrorEnvelope};

/// An unsuccessful answer in Tollgate's own shape.
#[derive(Debug)]
pub(super) struct Problem(Error);

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(problem::of_refusal(refusal))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let status = problem::status_of(&self.0).as_u16();
        let error = self.0.with(|body| body.status = Some(status));
        reply::refusal(&error.clone(), &ErrorEnvelope { error })
    }
}

/// Reads a body of the native API.
///
/// # Errors
/// `invalid_request` that names the field and the place.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
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
fn parse_request(body: &[u8]) -> Result<GenerateRequest> {
    let request: GenerateRequest = parse(body)?;
    if request.messages.is_empty() && request.continues.is_none() {
        return Err(Error::invalid("messages", "messages must not be empty"));
    }
    Ok(request)
}

pub(super) async fn unknown_path() -> Problem {
    problem::unknown_path().into()
}

pub(super) async fn wrong_method() -> Response<Body> {
    let error = problem::wrong_method();
    let told = error.clone().with(|body| body.status = Some(405));
    let mut response = reply::refusal(&error, &ErrorEnvelope { error: told });
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
