//! `GET /v1beta/models` and `GET /v1beta/models/{id}`.

use super::{Problem, path};
use crate::{
    dialects::google::{encode_model, encode_models},
    ingress::{front::Front, native::models::visible, reply},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, Response, StatusCode, Uri},
};
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind};

/// All models, on one page.
pub(crate) async fn list(
    State(front): State<Arc<Front>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let key = path::parameter(&uri, "key");
    let caller = front.caller_or(&headers, key.as_deref()).await?;
    let models = visible(&front, &caller).await;
    Ok(reply::json(StatusCode::OK, &encode_models(&models)))
}

pub(crate) async fn one(
    State(front): State<Arc<Front>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let key = path::parameter(&uri, "key");
    let caller = front.caller_or(&headers, key.as_deref()).await?;
    let id = path::name(&id);
    let models = visible(&front, &caller).await;
    let model = models.iter().find(|model| model.id == id || model.aliases.contains(&id));
    let model = model.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("no model is called {id:?}"))
            .with(|body| body.param = Some("model".to_owned()))
    })?;
    Ok(reply::json(StatusCode::OK, &encode_model(model)))
}
