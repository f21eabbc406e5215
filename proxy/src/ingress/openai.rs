//! OpenAI's API for unmodified clients: chat completions, embeddings and models.

pub(super) mod chat;
pub(super) mod embeddings;
pub(super) mod models;

use super::{problem, reply};
use crate::{dialects::openai::encode_error, gateway::Refusal};
use axum::{body::Body, http::Response, response::IntoResponse};
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
