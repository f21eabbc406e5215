//! Google's API for unmodified clients: methods of models, and the models themselves.

mod embed;
mod framing;
mod generate;
pub(super) mod models;
mod path;

use super::{front::Front, observe::RequestId, problem, reply};
use crate::{
    access::Caller,
    dialects::google::{decode_count, encode_count_reply, encode_error},
};
use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, Request, State},
    http::{HeaderMap, Response, StatusCode, Uri},
    routing::{get, post},
};
use path::{Method, Named};
use serde::Serialize;
use std::sync::Arc;
use tollgate_types::{Error, ErrorKind};

/// Errors in Google's shape.
#[derive(Debug)]
pub(super) struct Shape;

type Problem = problem::Problem<Shape>;

impl problem::Shape for Shape {
    fn body(error: &Error, status: StatusCode) -> impl Serialize {
        encode_error(error, status.as_u16())
    }
}

/// Whether a request on a path that several dialects share is Google's: only its clients send their
/// key like this.
pub(super) fn is_spoken(uri: &Uri, headers: &HeaderMap) -> bool {
    headers.contains_key("x-goog-api-key") || path::parameter(uri, "key").is_some()
}

/// Below `/v1beta`.
pub(super) fn routes() -> Router<Arc<Front>> {
    Router::new()
        .route("/models", get(models::list))
        .route("/models/{*id}", get(models::one))
        .route("/tunedModels/{*id}", post(tuned))
        .route("/publishers/{*id}", post(call))
        .merge(methods())
}

/// The methods of models alone, where the models are told in another dialect.
pub(super) fn methods() -> Router<Arc<Front>> {
    Router::new().route("/models/{*id}", post(call))
}

/// One method of a model on behalf of a caller.
struct Asked {
    front: Arc<Front>,
    caller: Arc<Caller>,
    request_id: String,
    /// The model as the caller names it.
    model: String,
    request: Request,
}

async fn call(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    run(front, request_id, &path, request).await
}

/// A tuned model keeps its prefix: at Google it is part of the name.
async fn tuned(
    State(front): State<Arc<Front>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    run(front, request_id, &format!("tunedModels/{path}"), request).await
}

async fn run(
    front: Arc<Front>,
    request_id: String,
    path: &str,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let key = path::parameter(request.uri(), "key");
    let caller = front.caller_or(request.headers(), key.as_deref()).await?;
    let Some(Named { model, method }) = path::read(path) else {
        let message = format!("there is no method at {path:?}");
        return Err(Error::new(ErrorKind::NotFound, message)
            .with(|body| body.param = Some("path".to_owned()))
            .into());
    };
    let asked = Asked { front, caller, request_id, model, request };
    match method {
        Method::Generate => generate::whole(asked).await,
        Method::Stream => generate::stream(asked).await,
        Method::Embed => embed::embed(asked, embed::Shape::One).await,
        Method::EmbedBatch => embed::embed(asked, embed::Shape::Batch).await,
        Method::Count => count(asked).await,
    }
}

async fn count(asked: Asked) -> Result<Response<Body>, Problem> {
    let Asked { front, caller, model, request, .. } = asked;
    let request = decode_count(&super::body::read(&front, request).await?, &model)?;
    let tokens = front.gateway.count_tokens(&caller, request).await?;
    Ok(reply::json(StatusCode::OK, &encode_count_reply(tokens)))
}
