//! Adk's own agent.

use crate::{Outcome, everywhere};
use adk_agent::LlmAgentBuilder;
use adk_core::{Content, Llm, LlmRequest, Part, RunConfig, StreamingMode, Tool, ToolContext};
use adk_runner::Runner;
use adk_session::{CreateRequest, InMemorySessionService, SessionService};
use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc};
use tollgate_adapter_tests::{Place, VENDORS, requests};
use tollgate_types::{ErrorKind, Provider};

struct Add;

#[async_trait]
impl Tool for Add {
    fn name(&self) -> &str {
        "add"
    }

    fn description(&self) -> &str {
        "Adds two numbers."
    }

    fn parameters_schema(&self) -> Option<Value> {
        let number = json!({"type": "number"});
        Some(json!({"type": "object", "properties": {"b": number, "a": number},
            "required": ["a", "b"]}))
    }

    async fn execute(&self, _: Arc<dyn ToolContext>, args: Value) -> adk_core::Result<Value> {
        let number = |name: &str| args[name].as_i64().unwrap();
        Ok(Value::String((number("a") + number("b")).to_string()))
    }
}

fn asked(text: &str) -> Content {
    Content::new("user").with_text(text)
}

async fn run(provider: Arc<dyn Provider>, model: String, streamed: bool) -> Outcome {
    let agent = LlmAgentBuilder::new("adder")
        .instruction("You add.")
        .model(Arc::new(tollgate_adk::Model::new(provider, model)))
        .max_output_tokens(500)
        .tool(Arc::new(Add))
        .build()
        .unwrap();
    let sessions = Arc::new(InMemorySessionService::new());
    let new = CreateRequest {
        app_name: "test".to_owned(),
        user_id: "alice".to_owned(),
        session_id: Some("s1".to_owned()),
        state: HashMap::new(),
    };
    sessions.create(new).await.unwrap();
    let mode = if streamed { StreamingMode::SSE } else { StreamingMode::None };
    let runner = Runner::builder()
        .app_name("test")
        .agent(Arc::new(agent))
        .session_service(sessions)
        .run_config(RunConfig { streaming_mode: mode, ..RunConfig::default() })
        .build()
        .unwrap();
    let mut events = runner.run_str("alice", "s1", asked("What is one and one?")).await.unwrap();
    let (mut text, mut tokens) = (String::new(), 0);
    while let Some(event) = events.next().await {
        let answer = event.unwrap().llm_response;
        if answer.partial {
            continue;
        }
        if let Some(usage) = answer.usage_metadata {
            tokens += u64::try_from(usage.total_token_count).unwrap();
        }
        let parts = answer.content.map(|content| content.parts).unwrap_or_default();
        if let Some(said) = parts.iter().rev().find_map(Part::text) {
            text = said.to_owned();
        }
    }
    (text, tokens)
}

#[tokio::test]
async fn adks_agent_runs_the_same_here_and_there() {
    everywhere(run).await;
}

fn model(provider: Arc<dyn Provider>, name: &str) -> tollgate_adk::Model {
    tollgate_adk::Model::new(provider, name)
}

fn request(content: Content) -> LlmRequest {
    LlmRequest::new("", vec![content])
}

#[tokio::test]
async fn adks_images_arrive() {
    let place = Place::start().await;
    for (number, vendor) in VENDORS.into_iter().enumerate() {
        let model = model(place.remote(), &format!("{vendor}/mock-echo"));
        let mut content = asked("What is this?");
        let bytes = vec![0x89, b'P', b'N', b'G', 13, 10, 26, 10];
        content.parts.push(Part::inline_data("image/png", bytes));
        let mut answers = model.generate_content(request(content), false).await.unwrap();
        let answer = answers.next().await.unwrap().unwrap();
        assert_eq!(answer.content.unwrap().parts[0].text(), Some("What is this?"), "{vendor}");
        let sent = String::from_utf8(place.sent().remove(number)).unwrap();
        assert!(sent.contains("iVBORw0KGgo="), "{vendor}: {sent}");
    }
}

#[tokio::test]
async fn adk_is_told_usage_cost_and_the_receipt() {
    let place = Place::start().await;
    let model = model(place.remote(), "openai/mock-tokens=4");
    let mut answers = model.generate_content(request(asked("one two three")), true).await.unwrap();
    let (mut pieces, mut last) = (String::new(), None);
    while let Some(answer) = answers.next().await {
        let answer = answer.unwrap();
        if answer.partial {
            pieces.extend(answer.content.unwrap().parts.iter().filter_map(Part::text));
        } else {
            last = Some(answer);
        }
    }
    let last = last.unwrap();
    assert_eq!(last.content.unwrap().parts[0].text(), Some(pieces.as_str()));
    assert_eq!(pieces.split(' ').count(), 4);
    let usage = last.usage_metadata.unwrap();
    assert_eq!((usage.prompt_token_count, usage.candidates_token_count), (3, 4));
    assert_eq!(usage.cost, Some(0.000_011));
    let told = last.provider_metadata.unwrap();
    assert_eq!(told["tollgate"]["receipt"]["cost_nano_usd"], 11_000);
}

#[tokio::test]
async fn adk_is_told_errors_whole() {
    let place = Place::with_budgets(vec![requests(1)]).await;
    let model = model(place.remote(), "openai/mock-echo");
    drop(model.generate_content(request(asked("hello")), false).await.unwrap());
    let refused = model.generate_content(request(asked("hello")), true).await;
    let error = refused.map(drop).unwrap_err();
    let cause = tollgate_adk::cause(&error).unwrap();
    assert_eq!((cause.kind(), error.retry.should_retry), (ErrorKind::QuotaExceeded, false));
    assert_eq!(error.details.upstream_status_code, Some(402));
    assert!(cause.request_id().is_some());
}

#[tokio::test]
async fn leaving_adks_stream_cancels_the_call() {
    let place = Place::start().await;
    let model = model(place.remote(), "openai/mock-tokens=5000,delay=20");
    let mut answers = model.generate_content(request(asked("hello")), true).await.unwrap();
    assert!(answers.next().await.unwrap().unwrap().partial);
    drop(answers);
    place.client_left().await;
    place.settled(1).await;
}

#[tokio::test]
async fn what_tollgate_has_no_place_for_is_refused_by_name() {
    let place = Place::start().await;
    let model = model(place.remote(), "openai/mock-echo");
    let refused = async |change: &dyn Fn(&mut LlmRequest)| {
        let mut request = request(asked("hello"));
        change(&mut request);
        let error = model.generate_content(request, false).await.map(drop).unwrap_err();
        let cause = tollgate_adk::cause(&error).unwrap();
        assert_eq!(cause.kind(), ErrorKind::Unsupported);
        cause.body().param.clone().unwrap()
    };
    let config = |config: Value| serde_json::from_value(config).unwrap();
    let cached = json!({"cached_content": "c"});
    assert_eq!(
        refused(&|request| request.config = Some(config(cached.clone()))).await,
        "config.cached_content"
    );
    let negative = json!({"top_k": -1});
    assert_eq!(
        refused(&|request| request.config = Some(config(negative.clone()))).await,
        "config.top_k"
    );
    assert_eq!(
        refused(&|request| request.contents[0].role = "ghost".to_owned()).await,
        "contents[0].role"
    );
    let hosted = json!({"x-adk-openai-tool": {"type": "web_search"}});
    let hosted = &hosted;
    assert_eq!(
        refused(&|request| drop(request.tools.insert("find".to_owned(), hosted.clone()))).await,
        "tools.find.x-adk-openai-tool"
    );
    assert!(place.sent().is_empty());
}
