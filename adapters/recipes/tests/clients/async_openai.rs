//! async-openai: `OpenAIConfig::with_api_base`.

use crate::{CALLS, House, http, schema};
use async_openai::{
    Client,
    config::OpenAIConfig,
    types::{chat::CreateChatCompletionRequest, responses::CreateResponse},
};
use futures_util::StreamExt;
use serde_json::{Value, json};

fn client(house: &House, key: &str) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new().with_api_base(format!("{}/v1", house.url)).with_api_key(key);
    Client::with_config(config).with_http_client(http())
}

fn chat(body: Value) -> CreateChatCompletionRequest {
    serde_json::from_value(body).unwrap()
}

#[tokio::test]
async fn async_openai_chats() {
    let house = House::open();
    let client = client(&house, &house.key);
    for model in ["openai/mock-echo", "anthropic/mock-echo", "google/mock-echo"] {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "one two"}]});
        let whole = client.chat().create(chat(body.clone())).await.unwrap();
        assert_eq!(whole.choices[0].message.content.as_deref(), Some("one two"), "{model}");
        assert_eq!(whole.usage.unwrap().completion_tokens, 2, "{model}");

        let mut chunks = client.chat().create_stream(chat(body)).await.unwrap();
        let mut text = String::new();
        while let Some(chunk) = chunks.next().await {
            for choice in chunk.unwrap().choices {
                text.extend(choice.delta.content);
            }
        }
        assert_eq!(text, "one two", "{model}");
    }
}

#[tokio::test]
async fn async_openai_calls_tools() {
    let house = House::open();
    let client = client(&house, &house.key);
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": schema()}});
    for vendor in ["openai", "anthropic", "google", "ollama"] {
        let mut body = json!({"model": format!("{vendor}/{CALLS}"), "tools": [tool],
            "messages": [{"role": "user", "content": "go"}]});
        let first = client.chat().create(chat(body.clone())).await.unwrap();
        let said = serde_json::to_value(&first.choices[0].message).unwrap();
        let call = said["tool_calls"][0].clone();
        assert_eq!(call["function"]["arguments"], r#"{"a":41}"#, "{vendor}");
        let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "forty-one"});
        body["messages"].as_array_mut().unwrap().extend([said, result]);
        let second = client.chat().create(chat(body)).await.unwrap();
        let text = second.choices[0].message.content.as_deref().unwrap();
        assert!(text.contains("forty-one"), "{vendor}: {text}");
    }
}

#[tokio::test]
async fn async_openai_speaks_responses() {
    let house = House::open();
    let body = json!({"model": "responses/mock-echo", "input": "one two"});
    let request: CreateResponse = serde_json::from_value(body).unwrap();
    let answer = client(&house, &house.key).responses().create(request).await.unwrap();
    assert_eq!(answer.output_text().as_deref(), Some("one two"));
}

#[tokio::test]
async fn async_openai_is_told_why_it_is_refused() {
    let house = House::open();
    let body = json!({"model": "openai/mock-echo", "messages": [{"role": "user", "content": "a"}]});
    let error = client(&house, "tg_wrong").chat().create(chat(body)).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("key") && !told.contains("failed to deserialize"), "{told}");
}
