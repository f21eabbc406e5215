//! Ways in: decode, run, encode. The whole API stands on this page.

mod admin;
mod anthropic;
mod body;
mod direct;
mod front;
mod google;
#[cfg(feature = "grpc")]
pub mod grpc;
mod health;
mod leftover;
mod models;
mod native;
mod observe;
mod ollama;
mod openai;
mod problem;
mod reply;
mod stream;
mod ws;

pub use body::Intake;
pub use direct::Entry;
pub use front::{Front, Readiness};

use axum::{
    Router, middleware,
    routing::{any, get},
};
use std::sync::Arc;
use tollgate_types::wire::path;

/// Paths that answer without a credential. Everything else asks for one; a test walks both lists.
pub const OPEN_PATHS: [&str; 3] = ["/health/live", "/health/ready", "/health/startup"];

/// Paths that ask for a credential, with the method that they take.
pub const GUARDED_PATHS: &[(&str, &str)] = &[
    ("POST", path::GENERATE),
    ("POST", path::STREAM),
    ("POST", path::EMBED),
    ("POST", path::COUNT_TOKENS),
    ("POST", path::ESTIMATE),
    ("GET", path::MODELS),
    ("GET", path::SOCKET),
    ("GET", path::USAGE),
    ("GET", path::USAGE_EXPORT),
    ("GET", path::BUDGETS),
    ("GET", "/api/v1/runs/any"),
    ("GET", "/api/v1/runs/any/events"),
    ("DELETE", "/api/v1/runs/any"),
    ("POST", path::TOKEN),
    ("GET", path::DELEGATE),
    ("POST", path::DELEGATE),
    ("DELETE", "/api/v1/auth/delegate/any"),
    ("GET", "/api/v1/admin/users"),
    ("POST", "/api/v1/admin/users"),
    ("GET", "/api/v1/admin/users/any"),
    ("PATCH", "/api/v1/admin/users/any"),
    ("DELETE", "/api/v1/admin/users/any"),
    ("GET", "/api/v1/admin/organisations"),
    ("POST", "/api/v1/admin/organisations"),
    ("GET", "/api/v1/admin/organisations/any"),
    ("PATCH", "/api/v1/admin/organisations/any"),
    ("DELETE", "/api/v1/admin/organisations/any"),
    ("GET", "/api/v1/admin/teams"),
    ("POST", "/api/v1/admin/teams"),
    ("GET", "/api/v1/admin/teams/any"),
    ("PATCH", "/api/v1/admin/teams/any"),
    ("DELETE", "/api/v1/admin/teams/any"),
    ("GET", "/api/v1/admin/keys"),
    ("POST", "/api/v1/admin/keys"),
    ("GET", "/api/v1/admin/keys/any"),
    ("PATCH", "/api/v1/admin/keys/any"),
    ("DELETE", "/api/v1/admin/keys/any"),
    ("POST", "/api/v1/admin/keys/any/rotate"),
    ("GET", "/api/v1/admin/budgets"),
    ("POST", "/api/v1/admin/budgets"),
    ("GET", "/api/v1/admin/budgets/any"),
    ("PATCH", "/api/v1/admin/budgets/any"),
    ("DELETE", "/api/v1/admin/budgets/any"),
    ("POST", "/api/v1/admin/budgets/any/raise"),
    ("DELETE", "/api/v1/admin/budgets/any/raise"),
    ("GET", "/api/v1/admin/limits"),
    ("POST", "/api/v1/admin/limits"),
    ("GET", "/api/v1/admin/limits/any"),
    ("PATCH", "/api/v1/admin/limits/any"),
    ("DELETE", "/api/v1/admin/limits/any"),
    ("GET", "/api/v1/admin/alerts"),
    ("GET", "/api/v1/admin/prices"),
    ("POST", "/api/v1/admin/prices"),
    ("DELETE", "/api/v1/admin/prices/local/any"),
    ("GET", "/api/v1/admin/usage"),
    ("GET", "/api/v1/admin/holds"),
    ("GET", "/api/v1/admin/audit"),
    ("GET", "/api/v1/admin/audit/verify"),
    ("GET", "/api/v1/admin/config"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses/any"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/local/any"),
    ("POST", "/openai/v1/chat/completions"),
    ("POST", "/openai/v1/responses"),
    ("POST", "/openai/v1/embeddings"),
    ("GET", "/openai/v1/models"),
    ("GET", "/openai/v1/models/local/any"),
    ("POST", "/api/chat"),
    ("POST", "/api/generate"),
    ("POST", "/api/embed"),
    ("POST", "/api/embeddings"),
    ("GET", "/api/tags"),
    ("POST", "/api/show"),
    ("GET", "/api/ps"),
    ("GET", "/api/version"),
    ("POST", "/ollama/api/chat"),
    ("POST", "/ollama/api/generate"),
    ("POST", "/ollama/api/embed"),
    ("POST", "/ollama/api/embeddings"),
    ("GET", "/ollama/api/tags"),
    ("POST", "/ollama/api/show"),
    ("GET", "/ollama/api/ps"),
    ("GET", "/ollama/api/version"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("POST", "/anthropic/v1/messages"),
    ("POST", "/anthropic/v1/messages/count_tokens"),
    ("GET", "/anthropic/v1/models"),
    ("GET", "/anthropic/v1/models/local/any"),
    ("POST", "/v1/models/local/any:generateContent"),
    ("POST", "/v1/models/local/any:streamGenerateContent"),
    ("POST", "/v1/models/local/any:embedContent"),
    ("POST", "/v1/models/local/any:batchEmbedContents"),
    ("POST", "/v1/models/local/any:countTokens"),
    ("GET", "/v1beta/models"),
    ("GET", "/v1beta/models/local/any"),
    ("POST", "/v1beta/models/local/any:generateContent"),
    ("POST", "/v1beta/models/local/any:streamGenerateContent"),
    ("POST", "/v1beta/models/local/any:embedContent"),
    ("POST", "/v1beta/models/local/any:batchEmbedContents"),
    ("POST", "/v1beta/models/local/any:countTokens"),
    ("POST", "/v1beta/tunedModels/any:generateContent"),
    ("POST", "/v1beta/publishers/google/models/any:generateContent"),
    ("GET", "/google/v1beta/models"),
    ("POST", "/google/v1beta/models/local/any:generateContent"),
    ("GET", "/google/v1/models/local/any"),
    ("POST", "/google/v1/models/local/any:generateContent"),
];

/// Every route. A path that is not there is refused in the words of the dialect it stands below.
pub fn router(front: Arc<Front>) -> Router {
    let openai = openai::routes().merge(models::routes());
    let v1 = dialect::<openai::Shape>(openai.clone().merge(anthropic::routes()));
    let openai = dialect::<openai::Shape>(openai);
    let anthropic = anthropic::routes().merge(anthropic::model_routes());
    let google = dialect::<google::Shape>(google::routes());
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/health/startup", get(health::live))
        .merge(native::routes())
        .merge(ws::routes())
        .nest("/api/v1/admin", dialect::<native::Shape>(admin::routes()))
        .nest(
            "/api",
            dialect::<ollama::Shape>(ollama::routes()).fallback(any(ollama::unknown_path)),
        )
        .nest("/ollama/api", dialect::<ollama::Shape>(ollama::routes()))
        // Google's newer clients call methods of models beside the list of them.
        .nest("/v1", v1.merge(google::methods()))
        .nest("/openai/v1", openai)
        .nest("/anthropic/v1", dialect::<anthropic::Shape>(anthropic))
        .nest("/v1beta", google.clone())
        .nest("/google/v1beta", google.clone())
        .nest("/google/v1", google)
        .fallback(any(problem::unknown_path::<native::Shape>))
        .method_not_allowed_fallback(problem::wrong_method::<native::Shape>)
        .layer(middleware::from_fn(leftover::discard))
        .layer(middleware::from_fn(observe::observe))
        .with_state(front)
}

fn dialect<S: problem::Shape>(routes: Router<Arc<Front>>) -> Router<Arc<Front>> {
    routes
        .fallback(any(problem::unknown_path::<S>))
        .method_not_allowed_fallback(problem::wrong_method::<S>)
}
