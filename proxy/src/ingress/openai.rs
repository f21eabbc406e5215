//! OpenAI's API for unmodified clients: chat completions, responses, embeddings and models.

mod chat;
mod embeddings;
pub(super) mod models;
mod responses;

pub(super) use chat::chat;
pub(super) use responses::responses;

use super::{front::Front, problem};
use crate::dialects::openai::encode_error;
use axum::{
    Router,
    http::StatusCode,
    routing::{any, post},
};
use serde::Serialize;
use std::sync::Arc;
use tollgate_types::Error;

/// Errors in OpenAI's shape.
#[derive(Debug)]
pub(super) struct Shape;

type Problem = problem::Problem<Shape>;

impl problem::Shape for Shape {
    fn body(error: &Error, _: StatusCode) -> impl Serialize {
        encode_error(error)
    }
}

/// Below `/v1`, but for the models: clients of two dialects ask for them there.
pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/chat/completions", post(chat))
        .route("/responses", post(responses))
        .route("/responses/{*id}", any(responses::kept))
        .route("/embeddings", post(embeddings::embeddings))
}
