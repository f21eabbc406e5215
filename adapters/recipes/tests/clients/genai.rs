//! genai: a `ServiceTargetResolver` that gives endpoint, key and adapter.

use crate::{CALLS, House, http, schema};
use futures_util::StreamExt;
use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    chat::{ChatMessage, ChatRequest, ChatStreamEvent, Tool, ToolResponse},
    resolver::{AuthData, Endpoint, ServiceTargetResolver},
};

/// Each adapter with the path below the server that it wants as its endpoint, and a provider.
const ADAPTERS: [(AdapterKind, &str, &str); 5] = [
    (AdapterKind::OpenAI, "/v1/", "openai"),
    (AdapterKind::OpenAIResp, "/v1/", "responses"),
    (AdapterKind::Anthropic, "/v1/", "anthropic"),
    (AdapterKind::Gemini, "/v1beta/", "google"),
    // The adapter `Ollama` never sends a key.
    (AdapterKind::OllamaCloud, "/", "ollama"),
];

fn client(house: &House, adapter: AdapterKind, path: &str) -> Client {
    let (url, key) = (format!("{}{path}", house.url), house.key.clone());
    let resolver = ServiceTargetResolver::from_resolver_fn(
        move |target: ServiceTarget| -> Result<ServiceTarget, genai::resolver::Error> {
            Ok(ServiceTarget {
                endpoint: Endpoint::from_owned(url.clone()),
                auth: AuthData::from_single(key.clone()),
                model: ModelIden::new(adapter, target.model.model_name),
            })
        },
    );
    Client::builder().with_reqwest(http()).with_service_target_resolver(resolver).build().unwrap()
}

#[tokio::test]
async fn genai_chats_through_every_dialect() {
    let house = House::open();
    for (adapter, path, vendor) in ADAPTERS {
        let client = client(&house, adapter, path);
        let model = format!("{vendor}/mock-echo");
        let asked = || ChatRequest::new(vec![ChatMessage::user("one two")]);
        let whole = client.exec_chat(&model, asked(), None).await.unwrap();
        assert_eq!(whole.usage.completion_tokens, Some(2), "{adapter:?}");
        assert_eq!(whole.first_text(), Some("one two"), "{adapter:?}");

        let mut events = client.exec_chat_stream(&model, asked(), None).await.unwrap().stream;
        let mut text = String::new();
        while let Some(event) = events.next().await {
            if let ChatStreamEvent::Chunk(chunk) = event.unwrap() {
                text.push_str(&chunk.content);
            }
        }
        assert_eq!(text, "one two", "{adapter:?}");
    }
}

#[tokio::test]
async fn genai_calls_tools_through_every_dialect() {
    let house = House::open();
    for (adapter, path, vendor) in ADAPTERS {
        let client = client(&house, adapter, path);
        let model = format!("{vendor}/{CALLS}");
        let asked = ChatRequest::new(vec![ChatMessage::user("go")])
            .with_tools(vec![Tool::new("f").with_schema(schema())]);
        let first = client.exec_chat(&model, asked.clone(), None).await.unwrap();
        let calls = first.into_tool_calls();
        assert_eq!(calls[0].fn_arguments["a"], 41, "{adapter:?}");
        let result = ToolResponse::new(calls[0].call_id.clone(), "forty-one".to_owned());
        let asked = asked.append_message(calls).append_message(result);
        let second = client.exec_chat(&model, asked, None).await.unwrap();
        assert!(second.first_text().unwrap().contains("forty-one"), "{adapter:?}");
    }
}
