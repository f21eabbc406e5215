//! Which path leads where.

use axum::{
    Router,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use std::sync::Arc;

use super::{
    Memory,
    answer::generate,
    anthropic, gate,
    gate::{Arrival, Call, admit},
    google, ollama, openai,
    openai_chat::Chat,
    openai_responses::Responses,
    vendor::Vendor,
};

/// All paths of all vendors.
pub(super) fn router(memory: Arc<Memory>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(generate::<Chat>))
        .route("/v1/responses", post(generate::<Responses>))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/models", get(models))
        .route("/v1/models/{*model}", get(models).post(google_call))
        .route("/v1/messages", post(generate::<anthropic::Messages>))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1beta/models", get(google_models))
        .route("/v1beta/models/{*model}", get(google_models).post(google_call))
        .merge(ollama::routes())
        .fallback(nowhere)
        .with_state(memory)
}

/// Answers with one JSON value.
pub(super) async fn plain(
    memory: Arc<Memory>,
    vendor: Vendor,
    arrival: Arrival,
    answer: impl FnOnce(&Call) -> serde_json::Value + Send,
) -> Response {
    match admit(memory, vendor, arrival).await {
        Ok(call) => {
            let json = answer(&call);
            call.answer(&json)
        }
        Err(answered) => answered,
    }
}

async fn embeddings(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    plain(memory, Vendor::OpenAi, arrival, |call| openai::vectors(&call.request)).await
}

/// Three vendors share this path.
async fn models(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    let one = last_of(&arrival.uri, "/v1/models/");
    match vendor_of(&arrival) {
        Vendor::Anthropic => {
            let answer = move |_: &Call| anthropic::models(one.as_deref());
            plain(memory, Vendor::Anthropic, arrival, answer).await
        }
        Vendor::Google => {
            let answer = move |_: &Call| google::models(one.as_deref());
            plain(memory, Vendor::Google, arrival, answer).await
        }
        vendor => {
            let answer = move |_: &Call| openai::models(one.as_deref());
            plain(memory, vendor, arrival, answer).await
        }
    }
}

/// Whose client this is: Anthropic's always name a version, and Google's have a key of their own.
fn vendor_of(arrival: &Arrival) -> Vendor {
    let headers = &arrival.headers;
    if headers.contains_key("anthropic-version") {
        Vendor::Anthropic
    } else if headers.contains_key("x-goog-api-key")
        || google::parameter(&arrival.uri, "key").is_some()
    {
        Vendor::Google
    } else {
        Vendor::OpenAi
    }
}

fn last_of(uri: &Uri, before: &str) -> Option<String> {
    uri.path().strip_prefix(before).map(google::decoded)
}

async fn count_tokens(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    plain(memory, Vendor::Anthropic, arrival, |call| anthropic::count(&call.asked())).await
}

async fn google_models(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    let one = last_of(&arrival.uri, "/v1beta/models/");
    plain(memory, Vendor::Google, arrival, move |_| google::models(one.as_deref())).await
}

/// Google puts the verb behind the model.
async fn google_call(state: State<Arc<Memory>>, arrival: Arrival) -> Response {
    let verb = arrival.uri.path().rsplit_once(':').map(|(_, verb)| verb.to_owned());
    match verb.as_deref() {
        Some("generateContent" | "streamGenerateContent") => {
            generate::<google::GenerateContent>(state, arrival).await
        }
        Some("countTokens") => {
            plain(state.0, Vendor::Google, arrival, |call| google::count(&call.request)).await
        }
        Some("embedContent") => {
            plain(state.0, Vendor::Google, arrival, |call| google::vector(&call.request)).await
        }
        Some("batchEmbedContents") => {
            plain(state.0, Vendor::Google, arrival, |call| google::vectors(&call.request)).await
        }
        _ => match admit(state.0, Vendor::Google, arrival).await {
            Ok(call) => call.fail(404),
            Err(answered) => answered,
        },
    }
}

/// What nobody offers is remembered, too: a wrong path is what a test may look for.
async fn nowhere(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    let vendor = match arrival.uri.path() {
        path if path.starts_with("/v1beta") => Vendor::Google,
        path if path.starts_with("/api") => Vendor::Ollama,
        _ => vendor_of(&arrival),
    };
    match admit(memory, vendor, arrival).await {
        Ok(call) => {
            let response = gate::nowhere(&call.uri);
            call.watched.whole(response.into_response())
        }
        Err(answered) => answered,
    }
}
