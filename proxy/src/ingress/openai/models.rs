//! `GET /v1/models` and `GET /v1/models/{id}`.

use super::Problem;
use crate::{
    dialects::openai::{encode_model, encode_models},
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
    let models = visible(&front, &caller).await;
    Ok(reply::json(StatusCode::OK, &encode_models(&models)))
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
