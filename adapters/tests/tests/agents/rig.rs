//! Rig's own agent.

use crate::{Outcome, everywhere};
use futures_util::StreamExt;
use rig_agent::prelude::{Agent, AgentBuilder, MultiTurnStreamItem};
use rig_core::{
    completion::{CompletionRequest, GenerationOptions, ServiceTier},
    message::{ImageMediaType, Message, UserContent},
    streaming::{Item, StreamEvent},
    tool::PortableTool,
};
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Arc};
use tollgate_adapter_tests::{Place, VENDORS, requests};
use tollgate_types::{ErrorKind, Provider};

struct Add;

impl PortableTool for Add {
    const NAME: &'static str = "add";
    type Args = Value;
    type Output = String;
    type Error = Infallible;

    fn description(&self) -> String {
        "Adds two numbers.".to_owned()
    }

    fn parameters(&self) -> Value {
        let number = json!({"type": "number"});
        json!({"type": "object", "properties": {"b": number, "a": number}, "required": ["a", "b"]})
    }

    async fn call(&self, arguments: Value) -> Result<String, Infallible> {
        let number = |name: &str| arguments[name].as_i64().unwrap();
        Ok((number("a") + number("b")).to_string())
    }
}

fn agent(provider: Arc<dyn Provider>, model: String) -> Agent {
    let model = tollgate_rig::model(provider, model);
    AgentBuilder::new(model).preamble("You add.").max_tokens(500).tool(Add).build()
}

async fn run(provider: Arc<dyn Provider>, model: String, streamed: bool) -> Outcome {
    let prompt = agent(provider, model).prompt("What is one and one?").max_turns(4);
    let answer = if streamed {
        let mut items = prompt.stream();
        let mut last = None;
        while let Some(item) = items.next().await {
            if let MultiTurnStreamItem::FinalResponse(answer) = item.unwrap() {
                last = Some(answer);
            }
        }
        last.unwrap()
    } else {
        prompt.await.unwrap()
    };
    (answer.output().to_owned(), answer.usage.total_tokens.unwrap())
}

#[tokio::test]
async fn rigs_agent_runs_the_same_here_and_there() {
    everywhere(run).await;
}

fn picture() -> Message {
    let image = UserContent::image_base64(
        "iVBORw0KGgo=",
        Some(ImageMediaType::PNG),
        Some(Default::default()),
    );
    Message::User { content: vec![UserContent::text("What is this?"), image] }
}

#[tokio::test]
async fn rigs_images_arrive() {
    let place = Place::start().await;
    for (number, vendor) in VENDORS.into_iter().enumerate() {
        let model = tollgate_rig::model(place.remote(), format!("{vendor}/mock-echo"));
        let answer = model.call(picture()).await.unwrap();
        assert_eq!(answer.text(), "What is this?", "{vendor}");
        let sent = String::from_utf8(place.sent().remove(number)).unwrap();
        assert!(sent.contains("iVBORw0KGgo="), "{vendor}: {sent}");
    }
}

#[tokio::test]
async fn rig_is_told_usage_cost_and_the_whole_answer() {
    let place = Place::start().await;
    let model = tollgate_rig::model(place.remote(), "openai/mock-tokens=4");
    let answer = model.call("one two three").await.unwrap();
    let tokens = (answer.usage.input_tokens, answer.usage.output_tokens);
    assert_eq!(tokens, (Some(3), Some(4)));
    assert_eq!(answer.usage.cost.unwrap().total, 0.000_011);
    let whole = tollgate_rig::answer(&answer).unwrap();
    let receipt = whole.receipt.unwrap();
    assert_eq!(receipt.cost.unwrap().to_string(), "$0.000011");
    assert_eq!(answer.provider_request_id, Some(receipt.request_id));
    assert_eq!(answer.model(), Some(whole.origin.model.as_str()));
}

#[tokio::test]
async fn rig_is_told_errors_whole() {
    let place = Place::with_budgets(vec![requests(1)]).await;
    let model = tollgate_rig::model(place.remote(), "openai/mock-echo");
    model.call("hello").await.unwrap();
    let error = model.call("hello").await.unwrap_err();
    let cause = tollgate_rig::cause(&error).unwrap();
    assert_eq!((cause.kind(), error.is_retryable()), (ErrorKind::QuotaExceeded, false));
    assert_eq!(error.report().http_status, Some(402));
    assert_eq!(error.provider_request_id(), cause.request_id());
    assert!(cause.request_id().is_some());

    let broken = tollgate_rig::model(place.direct("openai").await, "mock-tokens=9,reset=2");
    let mut events = broken.stream("hello").unwrap();
    let last = loop {
        match events.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(tollgate_rig::cause(&last).unwrap().kind(), ErrorKind::StreamInterrupted);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn leaving_rigs_stream_cancels_the_call() {
    let place = Place::start().await;
    let model = tollgate_rig::model(place.remote(), "anthropic/mock-tokens=5000,delay=20");
    let mut request = CompletionRequest::new("hello");
    request.max_tokens = Some(9000);
    let mut events = model.stream(request).unwrap();
    loop {
        if let Item::Event(StreamEvent::Text { .. }) = events.next().await.unwrap().unwrap() {
            break;
        }
    }
    drop(events);
    place.client_left().await;
    place.settled(1).await;
}

#[tokio::test]
async fn what_tollgate_has_no_place_for_is_refused_and_nothing_is_sent() {
    let place = Place::start().await;
    let model = tollgate_rig::model(place.remote(), "openai/mock-echo");
    let tier = GenerationOptions::default().service_tier(ServiceTier::Flex);
    let error = model.call(CompletionRequest::new("hello").options(tier)).await.unwrap_err();
    assert!(error.to_string().contains("service_tier"), "{error}");
    for params in [json!({"seed": 5}), json!([1])] {
        let mut request = CompletionRequest::new("hello");
        request.additional_params = Some(params);
        let error = model.call(request).await.unwrap_err();
        assert!(error.to_string().contains("additional_params"), "{error}");
    }
    assert!(place.sent().is_empty());

    let mut request = CompletionRequest::new("hello");
    request.additional_params = Some(json!({"openai": {"service_tier": "flex"}}));
    model.call(request).await.unwrap();
    let sent: Value = serde_json::from_slice(&place.sent()[0]).unwrap();
    assert_eq!(sent["service_tier"], "flex");
}
