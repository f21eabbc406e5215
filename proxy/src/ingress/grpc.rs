//! gRPC: the vocabulary as protobuf messages, on a listener of its own that speaks HTTP/2.
//!
//! Every method stands on the same [`Front`] as the paths of HTTP, and asks for a credential unless
//! it is on the list of open ones. The messages are `tollgate_types::proto`.

mod call;
mod deadline;
mod embed;
mod generate;
mod health;
mod message;
mod models;
mod observe;
mod reflection;
mod relay;
mod runs;
mod status;
mod unknown;

use super::{front::Front, observe::RequestId};
use crate::access::Caller;
use axum::{
    Extension, Router,
    extract::{Request, State},
    middleware,
    routing::{MethodRouter, post},
};
use call::{Asked, Problem, Reply};
use prost::Message;
use relay::Running;
use std::sync::Arc;
use tollgate_types::proto::method;

/// Methods that answer without a credential. Everything else asks for one; a test walks both lists.
pub const OPEN_METHODS: [&str; 2] = [method::HEALTH_CHECK, method::HEALTH_WATCH];

/// Methods that ask for a credential.
pub const GUARDED_METHODS: &[&str] = &[
    method::GENERATE,
    method::STREAM,
    method::EMBED,
    method::COUNT_TOKENS,
    method::LIST_MODELS,
    method::GET_RUN,
    method::RESUME_RUN,
    method::CANCEL_RUN,
    reflection::V1,
    reflection::V1_ALPHA,
];

/// Every method.
pub fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route(method::GENERATE, unary(generate::generate))
        .route(method::STREAM, streaming(generate::stream))
        .route(method::COUNT_TOKENS, unary(generate::count_tokens))
        .route(method::EMBED, unary(embed::embed))
        .route(method::LIST_MODELS, unary(models::list))
        .route(method::RESUME_RUN, streaming(runs::resume))
        .route(method::GET_RUN, unary(runs::get))
        .route(method::CANCEL_RUN, unary(runs::cancel))
        .route(method::HEALTH_CHECK, post(health::check))
        .route(method::HEALTH_WATCH, post(health::watch))
        .merge(reflection::routes(Arc::clone(&front)))
        .fallback(status::unknown_method)
        .method_not_allowed_fallback(status::unknown_method)
        .layer(middleware::from_fn(observe::observe))
        .with_state(front)
}

/// A method with one message in its answer.
fn unary<M, F>(method: fn(Asked, Arc<Caller>) -> F) -> MethodRouter<Arc<Front>>
where
    M: Message + 'static,
    F: Future<Output = Result<Reply<M>, Problem>> + Send + 'static,
{
    post(
        move |State(front): State<Arc<Front>>,
              Extension(RequestId(id)): Extension<RequestId>,
              request: Request| call::unary(front, id, request, method),
    )
}

/// A method that answers with the events of a run.
fn streaming<F>(method: fn(Asked, Arc<Caller>) -> F) -> MethodRouter<Arc<Front>>
where
    F: Future<Output = Result<Running, Problem>> + Send + 'static,
{
    post(
        move |State(front): State<Arc<Front>>,
              Extension(RequestId(id)): Extension<RequestId>,
              request: Request| call::streaming(front, id, request, method),
    )
}
