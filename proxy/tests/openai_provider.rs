//! The OpenAI provider against the mock upstream, over real sockets.
#![cfg(test)]

use std::time::Duration;
use tollgate::config::OpenaiApi;
use tollgate::providers::{http::HttpOptions, openai::OpenAi};
use tollgate_bench::Mock;
use tollgate_types::{
    CallOptions, EmbedRequest, ErrorKind, FinishReason, GenerateRequest, Message, OnUnsupported,
    Provider, Sampling, Secret, StreamEvent, Tool, Usage,
};

const KEY: &str = "very-secret-upstream-key";

async fn upstream() -> (Mock, OpenAi) {
    let mock = Mock::start().await.unwrap();
    let provider = provider_at(mock.base_url());
    (mock, provider)
}

fn provider_at(base_url: String) -> OpenAi {
    let mut options = HttpOptions::new("mock", base_url);
    options.api_key = Some(Secret::from(KEY));
    options.idle_timeout = Duration::from_millis(300);
    OpenAi::new(options, OpenaiApi::Chat).unwrap()
}

fn ask(model: &str, text: &str) -> GenerateRequest {
    GenerateRequest::new(model, vec![Message::user(text)])
}

#[tokio::test]
async fn a_stream_folds_to_the_unary_answer() {
    let (mock, provider) = upstream().await;
    let schema = serde_json::json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let requests = [
        ask("mock-echo", "one two three"),
        ask("mock-tokens=40", "go"),
        ask("mock-tool", "add").tools(vec![Tool::function("add", "adds", schema)]),
        ask("mock-nodone", "no end mark"),
    ];
    for request in requests {
        let streamed = provider.stream(request.clone()).await.unwrap().collect().await.unwrap();
        let whole = provider.generate(request).await.unwrap();
        assert_eq!(streamed, whole);
    }
    assert_eq!(mock.served(), 8);
}

#[tokio::test]
async fn the_upstream_gets_the_key_the_bare_model_and_the_usage_option() {
    let (mock, provider) = upstream().await;
    let answer = provider.stream(ask("mock-echo", "a b c")).await.unwrap().collect().await.unwrap();
    assert_eq!((answer.text().as_str(), &answer.usage), ("a b c", &Usage::tokens(3, 3)));
    assert_eq!(answer.origin.provider, "mock");
    let seen = mock.requests().remove(0);
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(seen.body["stream_options"]["include_usage"], true);
    assert!(!format!("{provider:?}").contains(KEY));
}

#[tokio::test]
async fn usage_that_is_absent_or_impossible_never_becomes_credit() {
    let (_mock, provider) = upstream().await;
    for model in ["mock-usage=absent", "mock-usage=negative"] {
        assert_eq!(provider.generate(ask(model, "a b")).await.unwrap().usage, Usage::default());
    }
    let absurd = provider.generate(ask("mock-usage=absurd", "a b")).await.unwrap();
    assert_eq!(absurd.usage.total(), u64::MAX);
}

#[tokio::test]
async fn a_stream_that_stops_early_is_an_error_after_what_came() {
    let (_mock, provider) = upstream().await;
    let cases = [
        ("mock-tokens=9,reset=4", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,cut=4", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,malformed=4", ErrorKind::Protocol),
        ("mock-tokens=9,stall=4", ErrorKind::Timeout),
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
        assert_eq!((text.as_str(), error.kind()), ("w0 w1 w2 ", kind), "{model}");
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn what_fails_before_the_first_event_fails_the_call() {
    let (_mock, provider) = upstream().await;
    for model in ["mock-reset=0", "mock-cut=0", "mock-malformed=0", "mock-html"] {
        assert!(provider.stream(ask(model, "go")).await.is_err(), "{model}");
    }
}

#[tokio::test]
async fn a_dropped_stream_reaches_the_upstream_at_once() {
    let (mock, provider) = upstream().await;
    let mut stream = provider.stream(ask("mock-tokens=1000,delay=20", "go")).await.unwrap();
    for _ in 0..4 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    assert!(mock.saw_aborts(1, Duration::from_millis(500)).await);
    let waiting = provider.stream(ask("mock-headers_delay=60000", "go"));
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    assert!(mock.saw_aborts(2, Duration::from_millis(500)).await);
}

#[tokio::test]
async fn statuses_become_kinds_and_keys_stay_secret() {
    let (_mock, provider) = upstream().await;
    let cases = [
        (400, ErrorKind::InvalidRequest, false),
        (401, ErrorKind::Authentication, false),
        (402, ErrorKind::QuotaExceeded, false),
        (404, ErrorKind::NotFound, false),
        (429, ErrorKind::RateLimited, true),
        (500, ErrorKind::Upstream, true),
        (503, ErrorKind::Overloaded, true),
    ];
    for (status, kind, retryable) in cases {
        let model = format!("mock-status={status},retry_after=7");
        let error = provider.generate(ask(&model, "go")).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{status}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(error.body().upstream_request_id.as_deref(), Some("req_mock"));
        assert!(!error.message().contains("sk-mock"), "{error}");
    }
}

#[tokio::test]
async fn a_unary_call_answered_with_a_page_is_a_protocol_error_and_with_a_stream_an_answer() {
    let (_mock, provider) = upstream().await;
    let error = provider.generate(ask("mock-html", "go")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let answer = provider.generate(ask("mock-sse", "go")).await.unwrap();
    assert_eq!(answer.text(), "go");
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_connection_error() {
    let free = Mock::start().await.unwrap().base_url();
    let error = provider_at(free).generate(ask("m", "go")).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Connection && error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_call_ends_at_its_deadline() {
    let (_mock, provider) = upstream().await;
    let hurry = CallOptions::default().timeout(Duration::from_millis(100));
    let slow = ask("mock-tokens=1000,delay=20", "go").options(hurry.clone());
    assert_eq!(provider.generate(slow.clone()).await.unwrap_err().kind(), ErrorKind::Timeout);
    let stream = provider.stream(slow).await.unwrap();
    assert_eq!(stream.collect().await.unwrap_err().kind(), ErrorKind::Timeout);
    let silent = ask("mock-headers_delay=60000", "go").options(hurry);
    assert_eq!(provider.stream(silent).await.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn warnings_of_what_was_left_out_come_with_the_answer() {
    let (_mock, provider) = upstream().await;
    let mut request = ask("mock-echo", "hi");
    request.continues = Some("resp_1".into());
    assert_eq!(
        provider.generate(request.clone()).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    request.on_unsupported = OnUnsupported::Warn;
    let streamed = provider.stream(request.clone()).await.unwrap().collect().await.unwrap();
    assert_eq!(streamed.warnings[0].param.as_deref(), Some("continues"));
    assert_eq!(streamed, provider.generate(request).await.unwrap());
}

#[tokio::test]
async fn the_output_limit_has_the_name_that_the_host_obeys() {
    let (mock, provider) = upstream().await;
    let sampling = Sampling { max_output_tokens: Some(5), ..Sampling::default() };
    let answer = provider.generate(ask("mock-echo", "hi").sampling(sampling)).await.unwrap();
    assert_eq!(answer.finish.reason, FinishReason::Stop);
    assert_eq!(mock.requests()[0].body["max_tokens"], 5);
}

#[tokio::test]
async fn embeddings_and_models_are_read() {
    let (_mock, provider) = upstream().await;
    let answer = provider.embed(EmbedRequest::new("m", ["a b", "c"])).await.unwrap();
    assert_eq!(answer.vectors, [[3.0, 0.0], [1.0, 1.0]]);
    assert_eq!(answer.usage, Usage::tokens(3, 0));
    assert_eq!(provider.models().await.unwrap()[0].id, "mock-echo");
}
