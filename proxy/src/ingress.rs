//! Ways in: decode, run, encode. The whole API stands on this page.

mod body;
mod front;
mod health;
mod native;
mod observe;
mod openai;
mod problem;
mod reply;
mod sse;

pub use front::{Front, Readiness};

use axum::{
    Router, middleware,
    routing::{any, get, post},
};
use std::sync::Arc;
use tollgate_types::wire::path;

/// Paths that answer without a credential. Everything else asks for one; a test walks both lists.
pub const OPEN_PATHS: [&str; 3] = ["/health/live", "/health/ready", "/health/startup"];

/// Paths that ask for a credential, with the method that they take.
pub const GUARDED_PATHS: [(&str, &str); 15] = [
    ("POST", path::GENERATE),
    ("POST", path::STREAM),
    ("POST", path::EMBED),
    ("POST", path::COUNT_TOKENS),
    ("GET", path::MODELS),
    ("GET", path::USAGE),
    ("GET", path::BUDGETS),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/local/any"),
    ("POST", "/openai/v1/chat/completions"),
    ("POST", "/openai/v1/embeddings"),
    ("GET", "/openai/v1/models"),
    ("GET", "/openai/v1/models/local/any"),
];

/// Every route.
pub fn router(front: Arc<Front>) -> Router {
    let openai = Router::new()
        .route("/chat/completions", post(openai::chat::chat))
        .route("/embeddings", post(openai::embeddings::embeddings))
        .route("/models", get(openai::models::list))
        .route("/models/{*id}", get(openai::models::one))
        .fallback(any(openai::unknown_path))
        .method_not_allowed_fallback(openai::wrong_method);
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/startup", get(health::live))
        .route(path::GENERATE, post(native::generate::generate))
        .route(path::STREAM, post(native::stream::stream))
        .route(path::EMBED, post(native::embed::embed))
        .route(path::COUNT_TOKENS, post(native::count_tokens::count_tokens))
        .route(path::MODELS, get(native::models::models))
        .route(path::USAGE, get(native::usage::usage))
        .route(path::BUDGETS, get(native::budgets::budgets))
        .nest("/v1", openai.clone())
        .nest("/openai/v1", openai)
        .fallback(any(native::unknown_path))
        .method_not_allowed_fallback(native::wrong_method)
        .layer(middleware::from_fn(observe::observe))
        .with_state(front)
}
