//! `GET /v1/models` and `GET /v1/models/{id}` in Anthropic's shape.

use super::Problem;
use crate::{
    dialects::anthropic::{encode_model, encode_models},
    ingress::{
        front::Front,
        native::models::{visible, visible_one},
        reply,
    },
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, Response, StatusCode},
};
use std::sync::Arc;

pub(crate) async fn list(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    Ok(reply::json(StatusCode::OK, &encode_models(&visible(&front, &caller).await)))
}

pub(crate) async fn one(
    State(front): State<Arc<Front>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    let model = visible_one(&front, &caller, &id).await?;
    Ok(reply::json(StatusCode::OK, &encode_model(&model)))
}
