//! `GET /api/tags`, `POST /api/show`, `GET /api/ps` and `GET /api/version`.

use super::Problem;
use crate::{
    dialects::ollama::{asked_model, encode_show, encode_tags},
    ingress::{body, front::Front, native::models::visible, reply},
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode},
};
use serde_json::json;
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind};

/// The release of Ollama whose API this is: clients look whether it is new enough for them. Its
/// last addition is log-probabilities (0.12.11).
const API_VERSION: &str = "0.12.11";

pub(crate) async fn tags(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(&headers).await?;
    let models = visible(&front, &caller).await;
    Ok(reply::json(StatusCode::OK, &encode_tags(&models)))
}

pub(crate) async fn show(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let caller = front.caller(request.headers()).await?;
    let name = asked_model(&body::read(&front, request).await?)?;
    let models = visible(&front, &caller).await;
    // Ollama lists names with a tag, and takes them without it.
    let tagged = format!("{name}:latest");
    let named = |own: &String| *own == name || *own == tagged;
    let model = models.iter().find(|model| named(&model.id) || model.aliases.iter().any(named));
    let model = model.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, format!("model '{name}' not found"))
            .with(|body| body.param = Some("model".to_owned()))
    })?;
    Ok(reply::json(StatusCode::OK, &encode_show(model)))
}

/// No list of what is loaded: which models an upstream has in its memory is its own affair.
pub(crate) async fn ps(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    front.caller(&headers).await?;
    Ok(reply::json(StatusCode::OK, &json!({"models": []})))
}

pub(crate) async fn version(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    front.caller(&headers).await?;
    Ok(reply::json(StatusCode::OK, &json!({"version": API_VERSION})))
}
