//! What tests ask the mock upstream for.

use serde_json::{Value, json};
use tollgate_tests::server::{Key, Reply, Server};
use tollgate_types::{GenerateRequest, Message, wire::path};

/// OpenAI's chat completions.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// Three words: three input tokens of the mock.
pub(crate) const QUESTION: &str = "one two three";

/// A native request.
pub(crate) fn native(model: &str) -> Value {
    let content = json!([{"type": "text", "text": QUESTION}]);
    json!({"model": model, "messages": [{"role": "user", "content": content}]})
}

/// The same in OpenAI's words.
pub(crate) fn openai(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": QUESTION}]})
}

/// The same for a client of this project.
pub(crate) fn typed(model: &str) -> GenerateRequest {
    GenerateRequest::new(model, vec![Message::user(QUESTION)])
}

/// Adds fields to a request.
pub(crate) fn with(mut body: Value, fields: Value) -> Value {
    let fields = fields.as_object().cloned().unwrap_or_default();
    body.as_object_mut().unwrap().extend(fields);
    body
}

/// A native tool without arguments.
pub(crate) fn native_tools() -> Value {
    json!({"tools": [{"type": "function", "name": "clock", "parameters": {"type": "object"}}]})
}

/// The same in OpenAI's words.
pub(crate) fn openai_tools() -> Value {
    let function = json!({"name": "clock", "parameters": {"type": "object"}});
    json!({"tools": [{"type": "function", "function": function}]})
}

/// Asks natively for a whole answer.
pub(crate) async fn ask(server: &Server, key: &Key, model: &str) -> Reply {
    server.post(path::GENERATE, key, &native(model)).await
}

/// Asks for a whole answer as an OpenAI client does.
pub(crate) async fn ask_openai(server: &Server, key: &Key, model: &str) -> Reply {
    server.post(CHAT, key, &openai(model)).await
}
