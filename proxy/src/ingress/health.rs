//! Health for orchestrators: alive, and ready for work. No credential, no detail.

use super::{front::Front, reply};
use axum::{
    body::Body,
    extract::State,
    http::{Response, StatusCode},
};
use serde_json::json;
use std::sync::Arc;

/// The process runs.
pub(super) async fn live() -> Response<Body> {
    reply::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// The database answers and the server is not shutting down.
pub(super) async fn ready(State(front): State<Arc<Front>>) -> Response<Body> {
    if !front.readiness.is_open() {
        return reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "draining"}));
    }
    match front.store.ping().await {
        Ok(()) => reply::json(StatusCode::OK, &json!({"status": "ok"})),
        Err(_) => reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "database down"})),
    }
}
