//! The OpenAI provider over its Responses API against the mock upstream, over real sockets.
#![cfg(test)]

use serde_json::json;
use std::time::Duration;
use tollgate::config::OpenaiApi;
use tollgate::providers::{http::HttpOptions, openai::OpenAi};
use tollgate_bench::Mock;
use tollgate_types::{
    ErrorKind, FinishReason, GenerateRequest, Message, Part, Provider, ReasoningOptions, Role,
    Sampling, StreamEvent, Tool,
};

async fn upstream() -> (Mock, OpenAi) {
    let mock = Mock::start().await.unwrap();
    let mut options = HttpOptions::new("mock", mock.base_url());
    options.idle_timeout = Duration::from_millis(300);
    let provider = OpenAi::new(options, OpenaiApi::Responses).unwrap();
    (mock, provider)
}

fn ask(model: &str, text: &str) -> GenerateRequest {
    GenerateRequest::new(model, vec![Message::user(text)])
}

fn adder() -> Tool {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    Tool::function("add", "adds", schema)
}

#[tokio::test]
async fn a_stream_folds_to_the_unary_answer() {
    let (mock, provider) = upstream().await;
    let requests = [
        ask("mock-echo", "one two three"),
        ask("mock-tokens=40,think=3,cached=7", "go"),
        ask("mock-tokens=3,hidden,think=3", "go"),
        ask("mock-tools=2,preface=2", "add").tools(vec![adder()]),
        ask("mock-tokens=4,refusal", "go"),
        ask("mock-tokens=4,length", "go"),
        ask("mock-tokens=4,safety", "go"),
    ];
    let reasons: Vec<FinishReason> = {
        let mut reasons = Vec::new();
        for request in requests {
            let streamed = provider.stream(request.clone()).await.unwrap().collect().await.unwrap();
            let whole = provider.generate(request).await.unwrap();
            assert_eq!(streamed, whole);
            reasons.push(whole.finish.reason);
        }
        reasons
    };
    use FinishReason::{ContentFilter, Length, Stop, ToolCalls};
    assert_eq!(reasons, [Stop, Stop, Stop, ToolCalls, Stop, Length, ContentFilter]);
    assert!(mock.requests().iter().all(|request| request.path == "/v1/responses"));
}

#[tokio::test]
async fn reasoning_goes_back_with_the_call_that_it_led_to() {
    let (mock, provider) = upstream().await;
    let mut request = ask("mock-tool,once,think=2", "add").tools(vec![adder()]);
    request.reasoning = Some(ReasoningOptions::default());
    let answer = provider.generate(request.clone()).await.unwrap();
    let call = answer.tool_calls().next().unwrap().clone();
    request.messages.push(answer.into_message());
    request.messages.push(Message::new(Role::Tool, vec![Part::tool_result(&call, "42")]));
    assert_eq!(provider.generate(request).await.unwrap().text(), "42");
    let input = mock.requests().pop().unwrap().body["input"].clone();
    let kinds: Vec<_> = input.as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, ["message", "reasoning", "function_call", "function_call_output"]);
    assert!(input[1]["encrypted_content"].is_string() && input[1]["id"] == "rs_mock");
}

#[tokio::test]
async fn a_stream_that_stops_early_is_an_error_after_what_came() {
    let (_mock, provider) = upstream().await;
    let cases = [
        ("mock-tokens=9,reset=7", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,cut=7", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,malformed=7", ErrorKind::Protocol),
        ("mock-tokens=9,stall=7", ErrorKind::Timeout),
        ("mock-tokens=9,error=7,status=429", ErrorKind::RateLimited),
        ("mock-tokens=9,nodone", ErrorKind::StreamInterrupted),
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
        assert!(text.starts_with("w0 w1 "), "{model}: {text}");
        assert_eq!(error.kind(), kind, "{model}");
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn the_output_limit_has_the_name_of_this_api() {
    let (mock, provider) = upstream().await;
    let sampling = Sampling { max_output_tokens: Some(5), ..Sampling::default() };
    provider.generate(ask("mock-echo", "hi").sampling(sampling)).await.unwrap();
    assert_eq!(mock.requests()[0].body["max_output_tokens"], 5);
}
