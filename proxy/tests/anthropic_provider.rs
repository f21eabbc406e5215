//! The Anthropic provider against the mock upstream, over real sockets.
#![cfg(test)]

use serde_json::json;
use std::{sync::Arc, time::Duration};
use tollgate::providers::{
    anthropic::Anthropic,
    http::{HttpOptions, KeyHeader},
};
use tollgate_bench::Mock;
use tollgate_types::{
    CallOptions, ErrorKind, FinishReason, GenerateRequest, Message, Original, Part, Provider,
    Secret, StreamEvent, Tool, ToolChoice, Usage,
};

const KEY: &str = "very-secret-upstream-key";

async fn upstream() -> (Mock, Anthropic) {
    let mock = Mock::start().await.unwrap();
    // A bare host, as Anthropic's own clients take it.
    let provider = provider_at(mock.url());
    (mock, provider)
}

fn provider_at(base_url: String) -> Anthropic {
    let mut options = HttpOptions::new("mock", base_url);
    options.api_key = Some(Secret::from(KEY));
    options.key_header = KeyHeader::XApiKey;
    options.idle_timeout = Duration::from_millis(300);
    Anthropic::new(options).unwrap()
}

fn ask(model: &str, text: &str) -> GenerateRequest {
    GenerateRequest::new(model, vec![Message::user(text)])
}

fn add() -> Tool {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    Tool::function("add", "adds", schema)
}

#[tokio::test]
async fn a_stream_folds_to_the_unary_answer() {
    let (mock, provider) = upstream().await;
    let requests = [
        ask("mock-echo", "one two three"),
        ask("mock-tokens=40,think=5", "go"),
        ask("mock-tools=2,preface=3", "add").tools(vec![add()]),
        ask("mock-nodone", "no end mark"),
        ask("mock-length", "too long"),
        ask("mock-refusal", "no"),
        ask("mock-cached=7,cache_write=5", "remember"),
    ];
    let count = requests.len() * 2;
    for request in requests {
        let streamed = provider.stream(request.clone()).await.unwrap().collect().await.unwrap();
        let whole = provider.generate(request.clone()).await.unwrap();
        assert_eq!(streamed, whole, "{}", request.model);
    }
    assert_eq!(mock.served(), count);
}

#[tokio::test]
async fn the_upstream_gets_the_key_the_version_the_bare_model_and_a_limit() {
    let (mock, provider) = upstream().await;
    let answer = provider.stream(ask("mock-echo", "a b c")).await.unwrap().collect().await.unwrap();
    assert_eq!((answer.text().trim(), &answer.usage), ("a b c", &Usage::tokens(3, 3)));
    assert_eq!(
        (answer.origin.provider.as_str(), answer.origin.api.as_str()),
        ("mock", "anthropic.messages")
    );
    let seen = mock.requests().remove(0);
    assert_eq!(seen.path, "/v1/messages");
    assert_eq!(seen.headers["x-api-key"], KEY);
    assert_eq!(seen.headers["anthropic-version"], "2023-06-01");
    assert!(
        seen.headers.get("authorization").is_none() && seen.headers.get("anthropic-beta").is_none()
    );
    assert_eq!(seen.body["max_tokens"], 4096);
    assert_eq!((&seen.body["model"], &seen.body["stream"]), (&json!("mock-echo"), &json!(true)));
    assert!(!format!("{provider:?}").contains(KEY));
}

#[tokio::test]
async fn the_limit_is_the_models_own_where_it_is_known() {
    let (mock, provider) = upstream().await;
    let mut request = ask("mock-echo", "a");
    request.options.model_max_output = Some(64_000);
    provider.generate(request.clone()).await.unwrap();
    request.sampling.max_output_tokens = Some(7);
    provider.generate(request).await.unwrap();
    let limits: Vec<_> =
        mock.requests().iter().map(|seen| seen.body["max_tokens"].clone()).collect();
    assert_eq!(limits, [64_000, 7]);
}

#[tokio::test]
async fn a_clients_own_body_and_headers_arrive_as_they_are_and_so_does_the_answer() {
    let (mock, provider) = upstream().await;
    for streamed in [true, false] {
        let body = format!(
            "{{\"max_tokens\": 50,  \"stream\":{streamed}, \"model\":\"p/mock-echo\", \"x\": 1.50, \
             \"messages\":[{{\"role\":\"user\",\"content\":\"a b\"}}]}}"
        );
        let mut request = ask("mock-echo", "a b");
        let headers = vec![
            ("anthropic-version", "2023-01-01".to_owned()),
            ("anthropic-beta", "one,two".to_owned()),
        ];
        let original = Original {
            api: "anthropic.messages",
            body: body.clone().into_bytes(),
            headers,
            streamed,
        };
        request.options.original = Some(Arc::new(original));
        let mut events = provider.stream(request).await.unwrap();
        let mut payloads = Vec::new();
        while let Some(event) = events.next().await {
            if let StreamEvent::Verbatim { data, .. } = event.unwrap() {
                payloads.push(data);
            }
        }
        let seen = mock.requests().pop().unwrap();
        assert_eq!(seen.raw, body.replace("p/mock-echo", "mock-echo"));
        assert_eq!(seen.headers["anthropic-version"], "2023-01-01");
        assert_eq!(seen.headers["anthropic-beta"], "one,two");
        let last = payloads.last().unwrap();
        assert!(last.contains(if streamed { "message_stop" } else { "\"content\"" }), "{last}");
    }
}

#[tokio::test]
async fn tokens_are_counted_by_the_upstream() {
    let (mock, provider) = upstream().await;
    let request =
        ask("mock-echo", "one two three").tools(vec![add()]).tool_choice(ToolChoice::Auto);
    let counted = provider.count_tokens(request).await.unwrap();
    assert!(counted >= 3, "{counted}");
    let seen = mock.requests().remove(0);
    assert_eq!(seen.path, "/v1/messages/count_tokens");
    assert!(seen.body.get("max_tokens").is_none() && seen.body["tools"][0]["name"] == "add");
    let body =
        b"{\"model\": \"p/mock-echo\", \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}";
    let mut request = ask("mock-echo", "a");
    request.options.original = Some(Arc::new(Original {
        api: "anthropic.count_tokens",
        body: body.to_vec(),
        headers: Vec::new(),
        streamed: false,
    }));
    provider.count_tokens(request).await.unwrap();
    let sent = String::from_utf8(body.to_vec()).unwrap().replace("p/mock-echo", "mock-echo");
    assert_eq!(mock.requests().pop().unwrap().raw, sent);
}

#[tokio::test]
async fn the_models_are_listed() {
    let (mock, provider) = upstream().await;
    let models = provider.models().await.unwrap();
    assert!(
        !models.is_empty() && models.iter().all(|model| model.provider.as_deref() == Some("mock"))
    );
    let seen = mock.requests().remove(0);
    assert_eq!(
        (seen.path.as_str(), &seen.headers["anthropic-version"]),
        ("/v1/models", &"2023-06-01".parse().unwrap())
    );
}

#[tokio::test]
async fn a_stream_that_stops_early_is_an_error_after_what_came() {
    let (_mock, provider) = upstream().await;
    let cases = [
        ("mock-tokens=9,reset=6", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,cut=6", ErrorKind::StreamInterrupted),
        ("mock-tokens=9,malformed=6", ErrorKind::Protocol),
        ("mock-tokens=9,stall=6", ErrorKind::Timeout),
        ("mock-tokens=9,error=6,status=529", ErrorKind::Overloaded),
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
        assert!(text.starts_with("w0 ") && !text.contains("w8"), "{model}: {text}");
        assert_eq!(error.kind(), kind, "{model}");
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
async fn statuses_become_kinds_and_keys_stay_secret() {
    let (_mock, provider) = upstream().await;
    let cases = [
        (400, ErrorKind::InvalidRequest),
        (404, ErrorKind::NotFound),
        (413, ErrorKind::TooLarge),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Upstream),
        (529, ErrorKind::Overloaded),
    ];
    for (status, kind) in cases {
        let failed = provider
            .generate(ask(&format!("mock-status={status},retry_after=3"), "go"))
            .await
            .unwrap_err();
        assert_eq!(failed.kind(), kind, "{failed}");
        assert_eq!(failed.body().status, Some(status));
        assert!(failed.body().upstream_request_id.is_some());
        assert!(!format!("{failed:?}").contains(KEY));
    }
    let limited = provider.generate(ask("mock-status=429,retry_after=3", "go")).await.unwrap_err();
    assert_eq!(limited.retry_after(), Some(Duration::from_secs(3)));
}

#[tokio::test]
async fn an_answer_goes_back_into_the_conversation_with_its_signature() {
    let (mock, provider) = upstream().await;
    let first = ask("mock-tool,think=2", "add").tools(vec![add()]);
    let answer = provider.generate(first.clone()).await.unwrap();
    assert_eq!(answer.finish.reason, FinishReason::ToolCalls);
    let call = answer.tool_calls().next().unwrap().clone();
    let signature = answer.content.iter().find_map(|part| match part {
        Part::Reasoning(reasoning) => reasoning.signature.clone(),
        _ => None,
    });
    let mut next = first;
    next.messages.extend([answer.into_message(), Message::tool_result(&call, "3")]);
    provider.generate(next).await.unwrap();
    let sent = mock.requests().pop().unwrap().body;
    assert_eq!(sent["messages"][1]["content"][0]["signature"], json!(signature.unwrap()));
    assert_eq!(sent["messages"][2]["content"][0]["tool_use_id"], json!(call.id));
}

#[tokio::test]
async fn a_dropped_stream_reaches_the_upstream_at_once_and_a_deadline_is_kept() {
    let (mock, provider) = upstream().await;
    let mut stream = provider.stream(ask("mock-tokens=1000,delay=20", "go")).await.unwrap();
    for _ in 0..4 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    assert!(mock.saw_aborts(1, Duration::from_millis(500)).await);
    let hurried = ask("mock-headers_delay=60000", "go")
        .options(CallOptions::default().timeout(Duration::from_millis(100)));
    assert_eq!(provider.generate(hurried).await.unwrap_err().kind(), ErrorKind::Timeout);
}
