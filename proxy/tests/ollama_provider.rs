//! The Ollama provider against the mock upstream, over real sockets.
#![cfg(test)]

use serde_json::json;
use std::{sync::Arc, time::Duration};
use tollgate::dialects::ollama::{CHAT_API, decode_generate};
use tollgate::providers::{http::HttpOptions, ollama::Ollama};
use tollgate_bench::{Mock, MockOptions};
use tollgate_types::{
    Blame, EmbedRequest, ErrorKind, Feature, FinishReason, GenerateRequest, Message, OnUnsupported,
    Original, Part, Provider, Role, Sampling, Secret, StreamEvent, Tool, ToolChoice, ToolResult,
    Usage,
};

const KEY: &str = "very-secret-upstream-key";

async fn upstream() -> (Mock, Ollama) {
    let options = MockOptions { require_key: Some(KEY.into()), ..MockOptions::default() };
    let mock = Mock::with(options).await.unwrap();
    let provider = provider_at(mock.url());
    (mock, provider)
}

fn provider_at(base_url: String) -> Ollama {
    let mut options = HttpOptions::new("mock", base_url);
    options.api_key = Some(Secret::from(KEY));
    options.idle_timeout = Duration::from_millis(300);
    Ollama::new(options).unwrap()
}

fn ask(model: &str, text: &str) -> GenerateRequest {
    GenerateRequest::new(model, vec![Message::user(text)])
}

fn adder() -> Vec<Tool> {
    vec![Tool::function(
        "add",
        "adds",
        json!({"type": "object", "properties": {"a": {"type": "integer"}}}),
    )]
}

#[tokio::test]
async fn a_stream_folds_to_the_unary_answer() {
    let (mock, provider) = upstream().await;
    let requests = [
        ask("mock-echo", "one two <three>"),
        ask("mock-tokens=40,think=7", "go"),
        ask("mock-tool", "add").tools(adder()),
        ask("mock-tools=2,preface=3,noids", "add").tools(adder()),
        ask("mock-length,tokens=5", "go"),
        ask("mock-usage=absent", "go"),
    ];
    for request in requests {
        let streamed = provider.stream(request.clone()).await.unwrap().collect().await.unwrap();
        let whole = provider.generate(request.clone()).await.unwrap();
        assert_eq!(streamed, whole, "{}", request.model);
    }
    assert_eq!(mock.served(), 12);
}

#[tokio::test]
async fn the_upstream_gets_the_key_the_bare_model_and_the_usual_path() {
    let (mock, provider) = upstream().await;
    let answer = provider.stream(ask("mock-echo", "a b c")).await.unwrap().collect().await.unwrap();
    assert_eq!((answer.text().as_str(), &answer.usage), ("a b c", &Usage::tokens(3, 3)));
    assert_eq!(answer.origin.provider, "mock");
    let seen = mock.requests().remove(0);
    assert_eq!(seen.path, "/api/chat");
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
    let sent = json!({"model": "mock-echo", "messages": [{"role": "user", "content": "a b c"}], "stream": true});
    assert_eq!(seen.body, sent);
    assert!(!format!("{provider:?}").contains(KEY));
    let elsewhere = provider_at(format!("{}/api/", mock.url()));
    assert_eq!(elsewhere.generate(ask("mock-echo", "a")).await.unwrap().text(), "a");
    assert_eq!(mock.requests()[1].path, "/api/chat");
}

#[tokio::test]
async fn a_tool_loop_ends_with_the_result() {
    let (_mock, provider) = upstream().await;
    for model in ["mock-tool,once", "mock-tool,once,noids"] {
        let mut request = ask(model, "add").tools(adder());
        let answer = provider.generate(request.clone()).await.unwrap();
        assert_eq!(answer.finish.reason, FinishReason::ToolCalls);
        let call = answer.tool_calls().next().unwrap().clone();
        assert!(!call.id.is_empty() && call.parse().unwrap().is_object());
        request.messages.push(answer.into_message());
        let result = ToolResult {
            call_id: call.id,
            content: vec![Part::text("42")],
            ..ToolResult::default()
        };
        request.messages.push(Message::new(Role::Tool, vec![Part::ToolResult(result)]));
        assert_eq!(provider.generate(request).await.unwrap().text(), "42");
    }
}

#[tokio::test]
async fn a_clients_own_body_goes_through_and_its_answer_comes_back_as_it_was() {
    let (mock, provider) = upstream().await;
    for streamed in [true, false] {
        let body = format!(
            "{{\"stream\": {streamed}, \"model\": \"x/y\",  \"messages\": [{{\"role\":\"user\",\"content\":\"a b\"}}], \"keep_alive\": -1}}"
        );
        let mut request = ask("mock-echo", "a b");
        request.sampling.max_output_tokens = Some(9);
        let original =
            Original { api: CHAT_API, body: body.clone().into(), headers: vec![], streamed };
        request.options.original = Some(Arc::new(original));
        let mut events = provider.stream(request).await.unwrap();
        let mut payloads = Vec::new();
        while let Some(event) = events.next().await {
            if let StreamEvent::Verbatim { data, closing } = event.unwrap() {
                payloads.push((data, closing));
            }
        }
        let (last, closing) = payloads.pop().unwrap();
        assert!(closing && last.contains("\"done\":true"), "{last}");
        assert!(payloads.iter().all(|(line, closing)| !closing && line.contains("\"done\":false")));
        assert_eq!(payloads.is_empty(), !streamed);
        let expected =
            body.replace("x/y", "mock-echo").replace("-1}", "-1,\"options\":{\"num_predict\":9}}");
        assert_eq!(mock.requests().pop().unwrap().raw, expected);
    }
}

#[tokio::test]
async fn what_only_generate_takes_is_asked_there() {
    let (mock, provider) = upstream().await;
    let body = json!({"model": "mock-echo", "prompt": "a b", "raw": true, "stream": true});
    let request = decode_generate(body.to_string().as_bytes()).unwrap().request;
    let streamed = provider.stream(request.clone()).await.unwrap().collect().await.unwrap();
    assert_eq!(streamed.text(), "a b");
    assert_eq!(streamed, provider.generate(request).await.unwrap());
    let seen = mock.requests().remove(0);
    assert_eq!((seen.path.as_str(), seen.body), ("/api/generate", body));
}

#[tokio::test]
async fn a_model_can_be_loaded_and_unloaded() {
    let (_mock, provider) = upstream().await;
    let mut load = GenerateRequest::new("mock-echo", vec![]);
    let answer = provider.generate(load.clone()).await.unwrap();
    assert_eq!(answer.finish.raw.as_deref(), Some("load"));
    load.extras
        .insert("ollama".into(), serde_json::Map::from_iter([("keep_alive".to_owned(), json!(0))]));
    let answer = provider.stream(load).await.unwrap().collect().await.unwrap();
    assert_eq!(answer.finish.raw.as_deref(), Some("unload"));
}

#[tokio::test]
async fn usage_that_is_impossible_never_becomes_credit() {
    let (_mock, provider) = upstream().await;
    for model in ["mock-usage=absent", "mock-usage=negative"] {
        assert_eq!(provider.generate(ask(model, "a b")).await.unwrap().usage.total(), 0);
    }
    let absurd = provider.generate(ask("mock-usage=absurd", "a b")).await.unwrap();
    assert_eq!(absurd.usage.total(), u64::MAX);
}

#[tokio::test]
async fn a_stream_that_stops_early_is_an_error_after_what_came() {
    let (_mock, provider) = upstream().await;
    let cases = [
        ("mock-tokens=9,reset=3", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,cut=3", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,malformed=3", ErrorKind::Protocol),
        ("mock-tokens=9,stall=3", ErrorKind::Timeout),
        ("mock-tokens=9,error=3", ErrorKind::Upstream),
        ("mock-tokens=3,nodone", ErrorKind::StreamInterrupted),
    ];
    for (model, kind) in cases {
        let mut stream = provider.stream(ask(model, "go")).await.unwrap();
        let mut text = String::new();
        let error = loop {
            match stream.next().await.unwrap() {
                Ok(StreamEvent::PartDelta { delta, .. }) => text.push_str(&delta),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!((text.trim(), error.kind()), ("w0 w1 w2", kind), "{model}");
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn what_fails_before_the_first_event_fails_the_call() {
    let (_mock, provider) = upstream().await;
    for model in ["mock-reset=0", "mock-cut=0", "mock-malformed=0", "mock-html", "mock-error=0"] {
        assert!(provider.stream(ask(model, "go")).await.is_err(), "{model}");
    }
}

#[tokio::test]
async fn statuses_become_kinds() {
    let (mock, provider) = upstream().await;
    let cases = [
        (400, ErrorKind::InvalidRequest, false),
        (401, ErrorKind::Authentication, false),
        (404, ErrorKind::NotFound, false),
        (429, ErrorKind::RateLimited, true),
        (500, ErrorKind::Upstream, true),
        (503, ErrorKind::Overloaded, true),
    ];
    for (status, kind, retryable) in cases {
        let error =
            provider.generate(ask(&format!("mock-status={status}"), "go")).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{status}");
        assert_eq!(error.body().status, Some(status));
    }
    let mut options = HttpOptions::new("mock", mock.url());
    options.api_key = Some(Secret::from("wrong-secret-key"));
    let stranger = Ollama::new(options).unwrap();
    let refused = stranger.generate(ask("mock-echo", "go")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Authentication);
    assert_eq!(refused.body().blame, Blame::Upstream);
    assert!(!refused.message().contains("wrong-secret-key"), "{refused}");
}

#[tokio::test]
async fn a_dropped_stream_reaches_the_upstream_at_once() {
    let (mock, provider) = upstream().await;
    let mut stream = provider.stream(ask("mock-tokens=1000,delay=20", "go")).await.unwrap();
    for _ in 0..4 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    assert!(mock.saw_aborts(1, Duration::from_secs(2)).await);
}

#[tokio::test]
async fn options_have_the_names_that_ollama_obeys_and_what_is_left_out_is_told() {
    let (mock, provider) = upstream().await;
    let sampling = Sampling { max_output_tokens: Some(5), seed: Some(1), ..Sampling::default() };
    let mut request = ask("mock-echo", "hi").sampling(sampling).tools(adder());
    request = request.tool_choice(ToolChoice::Required);
    assert_eq!(
        provider.generate(request.clone()).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    request.on_unsupported = OnUnsupported::Warn;
    let streamed = provider.stream(request.clone()).await.unwrap().collect().await.unwrap();
    assert_eq!(streamed.warnings[0].param.as_deref(), Some("tool_choice"));
    assert_eq!(streamed, provider.generate(request).await.unwrap());
    assert_eq!(mock.requests()[0].body["options"], json!({"num_predict": 5, "seed": 1}));
}

#[tokio::test]
async fn vectors_models_and_what_is_loaded_are_read() {
    let (mock, provider) = upstream().await;
    let answer = provider.embed(EmbedRequest::new("m", ["a b", "c"])).await.unwrap();
    assert_eq!((answer.vectors.len(), answer.usage), (2, Usage::tokens(3, 0)));
    let models = provider.models().await.unwrap();
    assert_eq!((models[0].id.as_str(), models[0].context_window), ("mock-echo:latest", Some(8192)));
    assert_eq!(models[0].features, [Feature::Chat, Feature::Stream, Feature::Tools]);
    let running = provider.running().await.unwrap();
    assert_eq!(
        (running[0].name.as_str(), running[0].context_length),
        ("mock-echo:latest", Some(8192))
    );
    let paths: Vec<_> = mock.requests().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths[..3], ["/api/embed", "/api/tags", "/api/show"]);
    assert_eq!(paths.last().unwrap(), "/api/ps");
}

#[tokio::test]
async fn a_pull_tells_each_step_and_ends_when_the_model_is_there() {
    let (mock, provider) = upstream().await;
    let mut bytes = Vec::new();
    provider.pull("smol", |step| bytes.extend(step.completed)).await.unwrap();
    assert_eq!(bytes, [250_000, 500_000, 750_000, 1_000_000]);
    assert_eq!(mock.requests()[0].body, json!({"model": "smol", "stream": true}));
    for (model, kind) in [
        ("mock-nodone", ErrorKind::StreamInterrupted),
        ("mock-status=404", ErrorKind::NotFound),
        ("mock-error=3", ErrorKind::Upstream),
        ("mock-reset=2", ErrorKind::StreamInterrupted),
        ("mock-malformed=2", ErrorKind::Protocol),
    ] {
        let error = provider.pull(model, |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{model}: {error}");
    }
}
