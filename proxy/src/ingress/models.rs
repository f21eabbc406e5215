//! `GET /v1/models`, where clients of OpenAI and of Anthropic ask alike: Anthropic's name the version
//! of its API.

use super::{anthropic, front::Front, openai};
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, Response},
    response::IntoResponse,
    routing::get,
};
use std::sync::Arc;

/// Below `/v1`.
pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new().route("/models", get(list)).route("/models/{*id}", get(one))
}

async fn list(front: State<Arc<Front>>, headers: HeaderMap) -> Response<Body> {
    if anthropic::is_spoken(&headers) {
        anthropic::models::list(front, headers).await.into_response()
    } else {
        openai::models::list(front, headers).await.into_response()
    }
}

async fn one(front: State<Arc<Front>>, id: Path<String>, headers: HeaderMap) -> Response<Body> {
    if anthropic::is_spoken(&headers) {
        anthropic::models::one(front, id, headers).await.into_response()
    } else {
        openai::models::one(front, id, headers).await.into_response()
    }
}
