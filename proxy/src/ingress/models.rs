//! `GET /v1/models`, where clients of OpenAI, Anthropic and Google ask alike: Anthropic's name the
//! version of its API, and Google's have a key of their own kind.

use super::{anthropic, front::Front, google, openai};
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, Response, Uri},
    response::IntoResponse,
    routing::get,
};
use std::sync::Arc;

/// Below `/v1`.
pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new().route("/models", get(list)).route("/models/{*id}", get(one))
}

async fn list(front: State<Arc<Front>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    if anthropic::is_spoken(&headers) {
        anthropic::models::list(front, headers).await.into_response()
    } else if google::is_spoken(&uri, &headers) {
        google::models::list(front, uri, headers).await.into_response()
    } else {
        openai::models::list(front, headers).await.into_response()
    }
}

async fn one(
    front: State<Arc<Front>>,
    id: Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    if anthropic::is_spoken(&headers) {
        anthropic::models::one(front, id, headers).await.into_response()
    } else if google::is_spoken(&uri, &headers) {
        google::models::one(front, id, uri, headers).await.into_response()
    } else {
        openai::models::one(front, id, headers).await.into_response()
    }
}
