//! What clients ask, each in its own dialect.

use crate::{
    gate::{Gate, Reply},
    way::Way,
};
use reqwest::RequestBuilder;
use serde_json::{Map, Value, json};

/// What is asked, whatever the dialect.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub model: String,
    pub streamed: bool,
    /// Whether the tool `add` is offered.
    pub tool: bool,
    /// The most tokens of the answer.
    pub limit: Option<u32>,
    /// The turns that follow the question, as the dialect writes them.
    pub turns: Vec<Value>,
}

/// The one word that is asked.
pub const QUESTION: &str = "go";

/// The schema of the tool `add`.
pub fn schema() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a"]})
}

impl Ask {
    pub fn of(upstream: &str, script: &str, streamed: bool) -> Self {
        Self { model: format!("{upstream}/mock-{script}"), streamed, ..Self::default() }
    }

    /// The body of the request.
    pub fn body(&self, way: Way) -> Value {
        let mut body = self.question(way);
        let fields = body.as_object_mut().unwrap();
        if way != Way::Google {
            fields.insert("model".to_owned(), self.model.as_str().into());
            fields.insert("stream".to_owned(), self.streamed.into());
        }
        if way == Way::Native {
            fields.remove("stream");
        }
        if let Some(limit) = self.limit {
            fields.extend(limited(way, limit));
        }
        if self.tool {
            fields.insert("tools".to_owned(), json!([offered(way)]));
        }
        body
    }

    fn question(&self, way: Way) -> Value {
        let turns = |first: Value| -> Value {
            std::iter::once(first).chain(self.turns.iter().cloned()).collect()
        };
        let user = json!({"role": "user", "content": QUESTION});
        match way {
            Way::Chat if self.streamed => {
                json!({"messages": turns(user), "stream_options": {"include_usage": true}})
            }
            Way::Chat | Way::OllamaChat => json!({"messages": turns(user)}),
            Way::Responses => {
                json!({"input": turns(user), "include": ["reasoning.encrypted_content"]})
            }
            Way::Anthropic => json!({"messages": turns(user), "max_tokens": 9_000}),
            Way::Google => json!({
                "contents": turns(json!({"role": "user", "parts": [{"text": QUESTION}]})),
                "generationConfig": {"thinkingConfig": {"includeThoughts": true}},
            }),
            Way::OllamaGenerate => json!({"prompt": QUESTION}),
            Way::Native => {
                let text = json!([{"type": "text", "text": QUESTION}]);
                json!({"messages": turns(json!({"role": "user", "content": text}))})
            }
        }
    }

    /// The request.
    pub fn request(&self, gate: &Gate, way: Way) -> RequestBuilder {
        post(gate, way, &way.path(&self.model, self.streamed), self.body(way).to_string())
    }

    /// Sends it and reads the whole answer.
    pub async fn reply(&self, gate: &Gate, way: Way) -> Reply {
        received(self.request(gate, way)).await
    }
}

/// A request with the key where clients of the dialect put it.
pub fn post(gate: &Gate, way: Way, path: &str, body: String) -> RequestBuilder {
    let request = gate.client.post(format!("{}{path}", gate.url)).body(body);
    match way {
        Way::Anthropic => request.header("x-api-key", &gate.key),
        Way::Google => request.header("x-goog-api-key", &gate.key),
        _ => request.bearer_auth(&gate.key),
    }
}

/// The whole answer to a request.
pub async fn received(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Reply { status, headers, body: response.text().await.unwrap() }
}

fn limited(way: Way, limit: u32) -> Map<String, Value> {
    let fields = match way {
        Way::Chat => json!({"max_completion_tokens": limit}),
        Way::Responses => json!({"max_output_tokens": limit}),
        Way::Anthropic => json!({"max_tokens": limit}),
        Way::Google => json!({"generationConfig": {"maxOutputTokens": limit}}),
        Way::OllamaChat | Way::OllamaGenerate => json!({"options": {"num_predict": limit}}),
        Way::Native => json!({"sampling": {"max_output_tokens": limit}}),
    };
    fields.as_object().unwrap().clone()
}

fn offered(way: Way) -> Value {
    let (name, schema) = ("add", schema());
    match way {
        Way::Chat | Way::OllamaChat | Way::OllamaGenerate => {
            json!({"type": "function", "function": {"name": name, "parameters": schema}})
        }
        Way::Responses | Way::Native => {
            json!({"type": "function", "name": name, "parameters": schema})
        }
        Way::Anthropic => json!({"name": name, "input_schema": schema}),
        Way::Google => {
            json!({"functionDeclarations": [{"name": name, "parametersJsonSchema": schema}]})
        }
    }
}

/// What the tool said, as the turn of a dialect.
pub fn result(way: Way, id: &str, text: &str) -> Value {
    match way {
        Way::Chat => json!({"role": "tool", "tool_call_id": id, "content": text}),
        Way::OllamaChat | Way::OllamaGenerate => {
            json!({"role": "tool", "tool_name": "add", "tool_call_id": id, "content": text})
        }
        Way::Responses => json!({"type": "function_call_output", "call_id": id, "output": text}),
        Way::Anthropic => json!({"role": "user", "content":
            [{"type": "tool_result", "tool_use_id": id, "content": text}]}),
        Way::Google => json!({"role": "user", "parts":
            [{"functionResponse": {"id": id, "name": "add", "response": {"result": text}}}]}),
        Way::Native => json!({"role": "tool", "content": [{"type": "tool_result",
            "call_id": id, "content": [{"type": "text", "text": text}]}]}),
    }
}
