//! The Google provider against the mock upstream, over real sockets.
#![cfg(test)]

use serde_json::json;
use std::{sync::Arc, time::Duration};
use tollgate::dialects::google::API;
use tollgate::providers::{
    google::Google,
    http::{HttpOptions, KeyHeader},
};
use tollgate_bench::Mock;
use tollgate_types::{
    CallOptions, EmbedRequest, ErrorKind, FinishReason, GenerateRequest, Message, OnUnsupported,
    Original, Part, Provider, Reasoning, Sampling, Secret, StreamEvent, Tool,
};

const KEY: &str = "very-secret-upstream-key";

async fn upstream() -> (Mock, Google) {
    let mock = Mock::start().await.unwrap();
    // A bare host gets the usual path.
    let address = mock.base_url().trim_end_matches("/v1").to_owned();
    let mut options = HttpOptions::new("mock", address);
    options.api_key = Some(Secret::from(KEY));
    options.key_header = KeyHeader::XGoogApiKey;
    options.idle_timeout = Duration::from_millis(300);
    let provider = Google::new(options).unwrap();
    (mock, provider)
}

fn ask(model: &str, text: &str) -> GenerateRequest {
    GenerateRequest::new(model, vec![Message::user(text)])
}

#[tokio::test]
async fn a_stream_folds_to_the_unary_answer() {
    let (_mock, provider) = upstream().await;
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let tool = vec![Tool::function("add", "adds", schema)];
    for request in [
        ask("mock-echo", "one two three"),
        ask("mock-tokens=40,think=5", "go"),
        ask("mock-tools=2,preface=2", "add").tools(tool.clone()),
        ask("mock-tools=2,noids", "add").tools(tool),
        ask("mock-blocked", "no"),
        ask("mock-safety", "no"),
    ] {
        let streamed = provider.stream(request.clone()).await.unwrap().collect().await.unwrap();
        let whole = provider.generate(request.clone()).await.unwrap();
        assert_eq!(streamed.text(), whole.text(), "{}", request.model);
        assert_eq!(streamed.finish, whole.finish, "{}", request.model);
        assert_eq!(streamed.usage, whole.usage, "{}", request.model);
        let names = |answer: &tollgate_types::GenerateResponse| -> Vec<_> {
            answer.tool_calls().map(|c| (c.name.clone(), c.arguments.clone())).collect()
        };
        assert_eq!(names(&streamed), names(&whole));
        assert!(streamed.tool_calls().all(|call| !call.id.is_empty()));
    }
}

#[tokio::test]
async fn the_upstream_gets_the_key_in_its_header_and_the_model_in_the_path() {
    let (mock, provider) = upstream().await;
    let answer = provider.stream(ask("mock-echo", "a b c")).await.unwrap().collect().await.unwrap();
    assert_eq!((answer.text().as_str(), answer.origin.provider.as_str()), ("a b c", "mock"));
    let seen = mock.requests().remove(0);
    assert_eq!(seen.path, "/v1beta/models/mock-echo:streamGenerateContent");
    assert_eq!(seen.headers["x-goog-api-key"], KEY);
    assert!(seen.headers.get("authorization").is_none());
    assert!(!format!("{provider:?}").contains(KEY));
}

#[tokio::test]
async fn thoughts_and_signatures_come_back_with_the_next_turn() {
    let (mock, provider) = upstream().await;
    let tool = vec![Tool::function("add", "adds", json!({"type": "object"}))];
    let first = provider.generate(ask("mock-tool,think=3", "add").tools(tool)).await.unwrap();
    let signed = first.content.iter().any(|part| match part {
        Part::Reasoning(Reasoning { extras, .. }) => extras.contains_key("google"),
        Part::ToolCall(call) => call.extras.contains_key("google"),
        Part::Text(text) => text.extras.contains_key("google"),
        _ => false,
    });
    assert!(signed, "{:?}", first.content);
    let call = first.tool_calls().next().unwrap().clone();
    let messages =
        vec![Message::user("add"), first.into_message(), Message::tool_result(&call, "2")];
    provider.generate(GenerateRequest::new("mock-echo", messages)).await.unwrap();
    let sent = mock.requests().pop().unwrap().body;
    let parts = sent["contents"][1]["parts"].to_string();
    assert!(parts.contains("thoughtSignature"), "{parts}");
    let answered = &sent["contents"][2]["parts"][0]["functionResponse"];
    assert_eq!(
        (&answered["name"], &answered["response"]),
        (&json!("add"), &json!({"output": "2"}))
    );
}

#[tokio::test]
async fn a_stream_that_stops_early_is_an_error_after_what_came() {
    let (_mock, provider) = upstream().await;
    for (model, kind) in [
        ("mock-tokens=9,reset=4", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,cut=4", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,malformed=4", ErrorKind::Protocol),
        ("mock-tokens=9,stall=4", ErrorKind::Timeout),
        ("mock-tokens=9,error=4,status=503", ErrorKind::Overloaded),
    ] {
        let mut events = provider.stream(ask(model, "go")).await.unwrap();
        let (mut words, mut last) = (0, None);
        while let Some(item) = events.next().await {
            match item {
                Ok(StreamEvent::PartDelta { .. }) => words += 1,
                Ok(_) => {}
                Err(error) => last = Some(error),
            }
        }
        assert!(words > 0, "{model}");
        assert_eq!(last.map(|error| error.kind()), Some(kind), "{model}");
    }
}

#[tokio::test]
async fn refusals_before_the_first_event_say_what_they_are() {
    let (_mock, provider) = upstream().await;
    for (model, kind, wait) in [
        ("mock-status=429,retry_after=7", ErrorKind::RateLimited, Some(7000)),
        ("mock-status=404", ErrorKind::NotFound, None),
        ("mock-status=503", ErrorKind::Overloaded, None),
        ("mock-status=400", ErrorKind::InvalidRequest, None),
    ] {
        let error = provider.stream(ask(model, "go")).await.unwrap_err();
        assert_eq!((error.kind(), error.body().retry_after_ms), (kind, wait), "{model}");
    }
    let error = provider.stream(ask("../x", "go")).await.unwrap_err();
    assert_eq!(error.body().param.as_deref(), Some("model"));
}

#[tokio::test]
async fn a_clients_own_body_is_passed_on_with_the_limit_alone_changed() {
    let (mock, provider) = upstream().await;
    let body = br#"{"contents":[{"parts":[{"text":"hi"}]}],"generation_config":{"top_p":0.5},"brandNew":1}"#;
    for streamed in [true, false] {
        let mut request = ask("mock-echo", "hi");
        request.sampling = Sampling { max_output_tokens: Some(5), ..Sampling::default() };
        let mut options = CallOptions::default();
        let original = Original { api: API, body: body.to_vec(), headers: vec![], streamed };
        options.original = Some(Arc::new(original));
        request.options = options;
        let mut events = provider.stream(request).await.unwrap();
        let mut verbatim = 0;
        while let Some(event) = events.next().await {
            verbatim += usize::from(matches!(event.unwrap(), StreamEvent::Verbatim { .. }));
        }
        assert!(verbatim > 0);
        let seen = mock.requests().pop().unwrap();
        assert_eq!(seen.path.ends_with(":streamGenerateContent"), streamed);
        let expected = json!({"contents": [{"parts": [{"text": "hi"}]}],
            "generation_config": {"top_p": 0.5, "maxOutputTokens": 5}, "brandNew": 1});
        assert_eq!(seen.body, expected);
    }
}

#[tokio::test]
async fn warnings_of_what_was_left_out_come_with_the_answer() {
    let (_mock, provider) = upstream().await;
    let mut request = ask("mock-echo", "hi");
    request.continues = Some("resp_1".into());
    let refused = provider.generate(request.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    request.on_unsupported = OnUnsupported::Warn;
    let streamed = provider.stream(request).await.unwrap().collect().await.unwrap();
    assert_eq!(streamed.warnings[0].param.as_deref(), Some("continues"));
    assert_eq!(streamed.finish.reason, FinishReason::Stop);
}

#[tokio::test]
async fn vectors_counts_and_models_are_read() {
    let (_mock, provider) = upstream().await;
    let texts: Vec<String> = (0..150).map(|n| format!("text {n}")).collect();
    let answer = provider.embed(EmbedRequest::new("mock-echo", texts)).await.unwrap();
    assert_eq!(answer.vectors.len(), 150, "in batches of a hundred");
    assert_eq!(provider.count_tokens(ask("mock-echo", "a b c")).await.unwrap(), 3);
    let models = provider.models().await.unwrap();
    assert_eq!(models[0].id, "mock-echo");
    assert_eq!(models[0].context_window, Some(1_048_576));
}
