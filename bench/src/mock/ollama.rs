//! Ollama's models, embeddings, pulls and errors.

mod chat;
mod pull;

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use serde_json::{Value, json};
use std::sync::Arc;

use super::{
    Memory,
    answer::generate,
    asked::count,
    gate::Arrival,
    openai::{self, MODELS},
    routes::plain,
    time::CREATED_AT,
    vendor::{Fault, Vendor},
};

/// Ollama's paths.
pub(super) fn routes() -> Router<Arc<Memory>> {
    Router::new()
        .route("/", get(async || "Ollama is running"))
        .route("/api/chat", post(generate::<chat::Asks<true>>))
        .route("/api/generate", post(generate::<chat::Asks<false>>))
        .route("/api/pull", post(generate::<pull::Pull>))
        .route("/api/embed", post(embed))
        .route("/api/embeddings", post(embeddings))
        .route("/api/tags", get(tags))
        .route("/api/show", post(show))
        .route("/api/ps", get(ps))
        .route("/api/version", get(version))
}

/// Ollama's error body for a status: a text and nothing else.
pub(super) fn error(fault: &Fault<'_>) -> Value {
    let missing = format!("model '{}' not found", fault.model);
    let message = match fault.status {
        401 => "unauthorized",
        403 => "forbidden",
        404 => &*missing,
        429 => "too many requests",
        503 => "server busy, please try again.  maximum pending requests exceeded",
        500.. => "llama runner process has terminated: signal: killed",
        _ => "invalid request",
    };
    json!({"error": fault.message(message)})
}

/// The refusal of a key.
pub(super) fn wrong_key() -> (u16, Value) {
    (401, json!({"error": "unauthorized"}))
}

/// A line of JSON as Go writes it, with signs of HTML escaped.
fn line(json: &Value) -> String {
    let mut line = json.to_string();
    for (sign, escape) in [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")] {
        if line.contains(sign) {
            line = line.replace(sign, escape);
        }
    }
    line
}

async fn embed(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    plain(memory, Vendor::Ollama, arrival, |call| vectors(&call.request)).await
}

async fn embeddings(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    plain(memory, Vendor::Ollama, arrival, |call| {
        let prompt = call.request.get("prompt").and_then(Value::as_str).unwrap_or_default();
        json!({"embedding": openai::numbers(prompt, 0, None)})
    })
    .await
}

async fn tags(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    plain(memory, Vendor::Ollama, arrival, |_| json!({"models": MODELS.map(model)})).await
}

async fn ps(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    plain(memory, Vendor::Ollama, arrival, |_| {
        let mut loaded = model(MODELS[0]);
        if let Value::Object(loaded) = &mut loaded {
            loaded.remove("modified_at");
            loaded.insert("expires_at".to_owned(), CREATED_AT.into());
            loaded.insert("size_vram".to_owned(), 1_000_000.into());
            loaded.insert("context_length".to_owned(), 8_192.into());
        }
        json!({"models": [loaded]})
    })
    .await
}

async fn show(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    plain(memory, Vendor::Ollama, arrival, |call| {
        json!({
            "license": "",
            "modelfile": format!("FROM {}\n", call.asked().model),
            "parameters": "num_ctx 8192",
            "template": "{{ .Prompt }}",
            "details": details(),
            "model_info": {"general.architecture": "mock", "mock.context_length": 8_192},
            "capabilities": ["completion", "tools", "thinking"],
            "modified_at": CREATED_AT,
        })
    })
    .await
}

async fn version(State(memory): State<Arc<Memory>>, arrival: Arrival) -> Response {
    plain(memory, Vendor::Ollama, arrival, |_| json!({"version": "0.12.0"})).await
}

/// A model that is there.
fn model(id: &str) -> Value {
    let name = format!("{id}:latest");
    json!({
        "name": name,
        "model": name,
        "modified_at": CREATED_AT,
        "size": 1_000_000,
        "digest": "0".repeat(64),
        "details": details(),
    })
}

fn details() -> Value {
    json!({
        "parent_model": "",
        "format": "gguf",
        "family": "mock",
        "families": ["mock"],
        "parameter_size": "1M",
        "quantization_level": "Q4_0",
    })
}

/// The vectors of one text or several.
fn vectors(request: &Value) -> Value {
    let input = match request.get("input") {
        Some(Value::Array(texts)) => texts.as_slice(),
        Some(text) => std::slice::from_ref(text),
        None => &[],
    };
    let texts = input.iter().map(|text| text.as_str().unwrap_or_default());
    let read: usize = texts.clone().map(count).sum();
    let dimensions = request.get("dimensions").and_then(Value::as_u64);
    let vectors = texts.enumerate().map(|(n, text)| openai::numbers(text, n, dimensions));
    json!({
        "model": request.get("model"),
        "embeddings": vectors.collect::<Vec<_>>(),
        "total_duration": 2_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": read,
    })
}
