//! Anthropic's API for unmodified clients: messages, token counts and models.

mod count_tokens;
mod messages;
pub(super) mod models;

pub(super) use messages::messages;

use super::{front::Front, problem};
use crate::dialects::anthropic::encode_error;
use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;
use tollgate_types::{CallOptions, Error, Original};

/// Names the version of the API; every client of Anthropic's sends it.
const VERSION_HEADER: &str = "anthropic-version";

/// Headers that belong to the wire format and go to the upstream unchanged.
const PASSED_ON: [&str; 2] = [VERSION_HEADER, "anthropic-beta"];

/// Errors in Anthropic's shape.
#[derive(Debug)]
pub(super) struct Shape;

type Problem = problem::Problem<Shape>;

impl problem::Shape for Shape {
    fn body(error: &Error, _: StatusCode) -> impl Serialize {
        encode_error(error)
    }
}

/// Below `/v1`, but for the models.
pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/messages", post(messages))
        .route("/messages/count_tokens", post(count_tokens::count_tokens))
}

/// The models where only clients of Anthropic's ask for them.
pub(super) fn model_routes() -> Router<Arc<Front>> {
    Router::new().route("/models", get(models::list)).route("/models/{*id}", get(models::one))
}

/// Whether a client of Anthropic's sent these headers.
pub(super) fn is_spoken(headers: &HeaderMap) -> bool {
    headers.contains_key(VERSION_HEADER)
}

/// The options of a call whose body an upstream of Anthropic's may get as it is, with the headers
/// that belong to it.
fn with_original(
    mut options: CallOptions,
    api: &'static str,
    (headers, body): (&HeaderMap, Bytes),
    streamed: bool,
) -> CallOptions {
    let mut passed = Vec::new();
    for name in PASSED_ON {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let value = values.collect::<Vec<_>>().join(",");
        if !value.is_empty() {
            passed.push((name, value));
        }
    }
    let original = Original { api, body: body.into(), headers: passed, streamed };
    options.original = Some(Arc::new(original));
    options
}
