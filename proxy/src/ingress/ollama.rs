//! Ollama's API for unmodified clients: chat, generate, embeddings and the lists of models.

mod chat;
mod embed;
mod models;

pub(super) use chat::chat;

use super::{front::Front, native, problem};
use crate::dialects::ollama::encode_error;
use axum::{
    Router,
    body::Body,
    extract::OriginalUri,
    http::{Response, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use serde::Serialize;
use std::sync::Arc;
use tollgate_types::Error;

/// Errors in Ollama's shape.
#[derive(Debug)]
pub(super) struct Shape;

type Problem = problem::Problem<Shape>;

impl problem::Shape for Shape {
    fn body(error: &Error, _: StatusCode) -> impl Serialize {
        encode_error(error)
    }
}

/// Below `/api`.
pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/chat", post(chat))
        .route("/generate", post(chat::generate))
        .route("/embed", post(embed::embed))
        .route("/embeddings", post(embed::embeddings))
        .route("/tags", get(models::tags))
        .route("/show", post(models::show))
        .route("/ps", get(models::ps))
        .route("/version", get(models::version))
}

/// A path below `/api` that nobody serves; the native API stands there, too.
pub(super) async fn unknown_path(OriginalUri(uri): OriginalUri) -> Response<Body> {
    if uri.path().starts_with("/api/v1/") {
        return problem::unknown_path::<native::Shape>().await.into_response();
    }
    problem::unknown_path::<Shape>().await.into_response()
}
