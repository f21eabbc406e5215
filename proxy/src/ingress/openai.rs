//! OpenAI's API for unmodified clients: chat completions, embeddings and models.

pub(super) mod chat;
pub(super) mod embeddings;
pub(super) mod models;

use super::{problem, reply};
use crate::{dialects::openai::encode_error, gateway::Refusal};
use axum::{
    body::Body,
    http::{Response, StatusCode},
    response::IntoResponse,
};
use tollgate_types::Error;

/// An unsuccessful answer in OpenAI's shape.
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
        reply::refusal(&self.0, &encode_error(&self.0))
    }
}

pub(super) async fn unknown_path() -> Problem {
    problem::unknown_path().into()
}

pub(super) async fn wrong_method() -> Response<Body> {
    let mut response = Problem(problem::wrong_method()).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
