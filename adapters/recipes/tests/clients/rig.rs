//! Rig's own clients of OpenAI and Anthropic: `with_base_url`.

use crate::{House, http};
use futures_util::StreamExt;
use rig_core::{
    completion::CompletionRequest,
    driver::DynModel,
    operation::Completion,
    providers::{anthropic::AnthropicConfig, openai::OpenAIConfig},
    streaming::{Item, StreamEvent},
};
use rig_reqwest::ReqwestClient;

/// Rig's models of three dialects.
fn models(house: &House, behaviour: &str) -> Vec<(&'static str, DynModel<Completion>)> {
    let transport = || ReqwestClient::from(http());
    let openai = OpenAIConfig::new(house.key.as_str())
        .with_base_url(format!("{}/v1", house.url))
        .connect(transport());
    // Rig adds /v1 itself for Anthropic.
    let anthropic =
        AnthropicConfig::new(house.key.as_str()).with_base_url(&house.url).connect(transport());
    vec![
        ("chat", openai.chat(format!("openai/{behaviour}")).into()),
        ("responses", openai.responses(format!("responses/{behaviour}")).into()),
        ("anthropic", anthropic.completion(format!("anthropic/{behaviour}")).into()),
    ]
}

fn asked() -> CompletionRequest {
    let mut request = CompletionRequest::new("one two");
    request.max_tokens = Some(500);
    request
}

#[tokio::test]
async fn rigs_clients_chat() {
    let house = House::open();
    for (dialect, model) in models(&house, "mock-think=2,echo") {
        let whole = model.call(asked()).await.unwrap();
        assert_eq!(whole.text(), "one two", "{dialect}");
        assert!(whole.usage.output_tokens >= Some(2), "{dialect}");

        let mut events = model.stream(asked()).unwrap();
        let mut text = String::new();
        while let Some(event) = events.next().await {
            if let Item::Event(StreamEvent::Text { text: more, .. }) = event.unwrap() {
                text.push_str(&more);
            }
        }
        assert_eq!(text, "one two", "{dialect}");
    }
}

#[tokio::test]
async fn rigs_clients_are_told_why_they_are_refused() {
    let house = House::open();
    for (dialect, model) in models(&house, "mock-status=400,message=too_odd") {
        let error = model.call(asked()).await.unwrap_err();
        assert_eq!(error.provider_response_status().unwrap().as_u16(), 400, "{dialect}");
        assert!(error.to_string().contains("too odd"), "{dialect}: {error}");
    }
}
