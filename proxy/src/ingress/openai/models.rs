//! `GET /v1/models` and `GET /v1/models/{id}`.

use super::Problem;
use crate::{
    dialects::openai::{encode_model, encode_models},
    ingress::{front::Front, native::models::visible, reply},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, Response, StatusCode},
};
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind};

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
    let models = visible(&front, &caller).await;
    let model = models.iter().find(|model| model.id == id || model.aliases.contains(&id));
    let model = model.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("no model is called {id:?}"))
            .with(|body| body.param = Some("model".to_owned()))
    })?;
    Ok(reply::json(StatusCode::OK, &encode_model(model)))
}
