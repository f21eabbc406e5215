//! Bodies that a caller writes himself and an upstream of the same format gets as they are: nothing
//! in them gets past permissions, prices and limits, whichever way it is spelt.
#![cfg(test)]

use serde_json::{Value, json};
use std::sync::Arc;
use tollgate::dialects::{
    anthropic::{self, MessagesTarget},
    google::{self, Platform},
    ollama,
    openai::{self, ChatTarget, Host, responses},
};
use tollgate_types::{CallOptions, GenerateRequest, Original, Result};

fn original(api: &'static str, body: &Value, mut request: GenerateRequest) -> GenerateRequest {
    let body = body.to_string().into_bytes();
    let original = Original { api, body, headers: Vec::new(), streamed: false };
    let mut options = CallOptions::default();
    options.original = Some(Arc::new(original));
    request.options = options;
    request
}

fn chat(body: &Value) -> Result<Vec<u8>> {
    let request = openai::decode_chat(body.to_string().as_bytes())?.request;
    let request = original(openai::CHAT_API, body, request);
    let target = ChatTarget { model: "m", host: Host::Compatible, stream: false };
    openai::patch_chat(request.options.original.as_deref().unwrap(), &request, target)
}

fn response(body: &Value) -> Result<Vec<u8>> {
    let request = responses::decode_responses(body.to_string().as_bytes())?.request;
    let request = original(responses::API, body, request);
    let target = responses::ResponsesTarget { model: "m", stream: false };
    responses::patch_responses(request.options.original.as_deref().unwrap(), &request, target)
}

fn messages(body: &Value) -> Result<Vec<u8>> {
    let request = anthropic::decode_messages_call(body.to_string().as_bytes())?.request;
    let request = original(anthropic::API, body, request);
    let target = MessagesTarget { model: "m", default_max_output: None, stream: false };
    anthropic::patch_messages(request.options.original.as_deref().unwrap(), &request, target)
}

fn generate(body: &Value) -> Result<Vec<u8>> {
    let request = google::decode_generate(body.to_string().as_bytes(), "m")?;
    let request = original(google::API, body, request);
    let target = google::Target { model: "m", platform: Platform::Vertex };
    google::patch_generate(request.options.original.as_deref().unwrap(), &request, target)
}

fn with(mut body: Value, key: &str, value: &Value) -> Value {
    body[key] = value.clone();
    body
}

#[test]
fn no_field_of_a_chat_chooses_another_model_or_lifts_a_limit() {
    let plain = json!({"model": "p/m", "messages": [{"role": "user", "content": "x"}]});
    chat(&plain).unwrap();
    for key in [
        "Model",
        "MODEL",
        "N",
        "Max_Tokens",
        "Tools",
        "n_predict",
        "n_cmpl",
        "max_new_tokens",
        "max_output_tokens",
        "fallbacks",
        "models",
        "preset",
        "plugins",
        "search_parameters",
    ] {
        let error = chat(&with(plain.clone(), key, &json!(1))).unwrap_err();
        assert!(error.body().param.as_deref().unwrap().ends_with(key), "{key}: {error}");
    }
    for (key, value) in [("service_tier", "priority"), ("Service_Tier", "priority")] {
        assert!(chat(&with(plain.clone(), key, &json!(value))).is_err(), "{key}");
    }
    chat(&with(plain.clone(), "service_tier", &Value::Null)).unwrap();
    let turn = json!([{"role": "user", "content": "x", "Content": [{"type": "image_url"}]}]);
    assert!(chat(&with(plain, "messages", &turn)).is_err());
}

#[test]
fn no_response_ends_after_its_call_or_asks_another_model() {
    let plain = json!({"model": "p/m", "input": "x"});
    response(&plain).unwrap();
    response(&with(plain.clone(), "background", &json!(false))).unwrap();
    for (key, value) in [
        ("background", json!(true)),
        ("Background", json!(true)),
        ("Model", json!("dear")),
        ("MAX_OUTPUT_TOKENS", json!(100_000)),
        ("fallbacks", json!([])),
        ("tools", json!([{"type": "image_generation", "model": "gpt-image-1"}])),
    ] {
        assert!(response(&with(plain.clone(), key, &value)).is_err(), "{key}");
    }
    response(&with(plain, "tools", &json!([{"type": "web_search"}]))).unwrap();
}

#[test]
fn no_message_asks_another_model_or_buys_what_has_no_price() {
    let plain =
        json!({"model": "p/m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    messages(&plain).unwrap();
    for (key, value) in [
        ("Model", json!("dear")),
        ("Max_tokens", json!(100_000)),
        ("Fallbacks", json!([])),
        ("Speed", json!("fast")),
        ("Service_Tier", json!("priority")),
    ] {
        assert!(messages(&with(plain.clone(), key, &value)).is_err(), "{key}");
    }
    messages(&with(plain, "service_tier", &Value::Null)).unwrap();
}

#[test]
fn no_configuration_of_googles_chooses_another_model() {
    let plain = json!({"contents": [{"parts": [{"text": "x"}]}]});
    generate(&plain).unwrap();
    let routing = json!({"manualMode": {"modelName": "dear"}});
    for (outer, inner) in
        [("generationConfig", "routingConfig"), ("generation_config", "routing_config")]
    {
        assert!(
            generate(&with(plain.clone(), outer, &json!({inner: routing}))).is_err(),
            "{inner}"
        );
    }
}

#[test]
fn no_request_for_vectors_says_twice_what_is_to_be_read() {
    for key in ["Model", "INPUT", "messages"] {
        let body = with(json!({"model": "p/m", "input": "x"}), key, &json!("y"));
        let asked = openai::decode_embed(body.to_string().as_bytes()).unwrap().request;
        assert!(openai::encode_embed(&asked, "m").is_err(), "{key}");
    }
}

/// Enough that looking through all calls for each result would take minutes.
const MANY: usize = 60_000;

fn many(one: impl Fn(usize) -> Value) -> Value {
    (0..MANY).map(one).collect::<Vec<_>>().into()
}

#[test]
fn many_calls_and_results_are_read_in_one_go() {
    let begun = std::time::Instant::now();
    let called = json!({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}});
    let mut said = vec![called];
    said.extend((0..MANY).map(|_| json!({"role": "function", "name": "f", "content": ""})));
    let legacy = json!({"model": "m", "messages": said});
    openai::decode_chat(legacy.to_string().as_bytes()).unwrap();

    let parts = many(|_| json!({"functionCall": {"name": "a"}}));
    let results = many(|_| json!({"functionResponse": {"name": "a", "response": {}}}));
    let turns = json!([{"role": "model", "parts": parts}, {"parts": results}]);
    let body = json!({"contents": turns}).to_string();
    let request = google::decode_generate(body.as_bytes(), "m").unwrap();
    let target = google::Target { model: "m", platform: Platform::Gemini };
    google::encode_generate(&request, target).unwrap();

    let calls = many(|_| json!({"function": {"name": "a", "arguments": {}}}));
    let mut said = vec![json!({"role": "assistant", "tool_calls": calls})];
    said.extend((0..MANY).map(|_| json!({"role": "tool", "tool_name": "b", "content": ""})));
    let body = json!({"model": "m", "messages": said}).to_string();
    ollama::decode_chat(body.as_bytes()).unwrap();
    assert!(begun.elapsed() < std::time::Duration::from_secs(120), "{:?}", begun.elapsed());
}
