//! Every method, by the real client and by hand.

use crate::gate::{Gate, asking};
use tollgate_client::UsageQuery;
use tollgate_types::{
    EmbedRequest, ErrorKind, EventStream, GenerateRequest, Message, Part, Provider, StreamEvent,
    Tool,
    proto::{method, read_event, v1},
};
use tonic::Code;

async fn all(mut events: EventStream) -> Vec<StreamEvent> {
    let mut all = Vec::new();
    while let Some(event) = events.next().await {
        all.push(event.unwrap());
    }
    all
}

/// Without what differs from call to call.
fn alike(event: StreamEvent) -> StreamEvent {
    match event {
        StreamEvent::Start { mut origin, warnings, request_id } => {
            assert!(request_id.is_some());
            origin.response_id = None;
            StreamEvent::Start { origin, warnings, request_id: None }
        }
        StreamEvent::Finish { finish, usage, extras, receipt } => {
            assert!(!receipt.unwrap().request_id.is_empty());
            StreamEvent::Finish { finish, usage, extras, receipt: None }
        }
        event => event,
    }
}

#[tokio::test]
async fn a_stream_says_over_grpc_what_it_says_over_http() {
    let gate = Gate::open().await;
    let tool = Tool::function("add", "adds", serde_json::json!({"type": "object"}));
    for request in [
        asking("hello there"),
        asking("[[mock tokens=40]]"),
        asking("[[mock tool preface=3]]").tools(vec![tool]),
        asking("[[mock tokens=5 length]]"),
        GenerateRequest::new("claude/mock", vec![Message::user("[[mock think=5 tokens=9]]")]),
    ] {
        let over_http = all(gate.over_http().stream(request.clone()).await.unwrap()).await;
        let over_grpc = all(gate.over_grpc().stream(request).await.unwrap()).await;
        assert!(over_grpc.len() > 3);
        let (http, grpc): (Vec<_>, Vec<_>) = (
            over_http.into_iter().map(alike).collect(),
            over_grpc.into_iter().map(alike).collect(),
        );
        assert_eq!(grpc, http);
    }
}

#[tokio::test]
async fn a_whole_answer_comes_with_its_receipt_and_its_metadata() {
    let gate = Gate::open().await;
    let answer = gate.over_grpc().generate(asking("good day")).await.unwrap();
    assert_eq!(answer.text(), "good day");
    let receipt = answer.receipt.unwrap();

    let request = v1::GenerateRequest::from(asking("good day"));
    let raw = gate.raw().call(method::GENERATE, &request).await;
    let message: v1::GenerateResponse = raw.message();
    let id = message.receipt.unwrap().request_id;
    assert_ne!(id, receipt.request_id);
    assert_eq!(raw.metadata("x-request-id"), Some(id.as_str()));
    assert_eq!(raw.metadata("x-tollgate-provider"), Some("mock"));
    assert_eq!(raw.metadata("x-tollgate-model"), Some("echo"));
}

#[tokio::test]
async fn events_are_numbered_from_zero_and_a_good_stream_ends_with_ok() {
    let gate = Gate::open().await;
    let request = v1::GenerateRequest::from(asking("[[mock tokens=9]]"));
    let raw = gate.raw().call(method::STREAM, &request).await;
    assert_eq!(raw.code(), Code::Ok);
    let events: Vec<_> = raw
        .messages
        .iter()
        .map(|message| prost::Message::decode(message.clone()).unwrap())
        .map(|message: v1::StreamResponse| read_event(message).unwrap().unwrap())
        .collect();
    let numbers: Vec<u64> = events.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!((events[0].1.name(), events.last().unwrap().1.name()), ("start", "finish"));
}

#[tokio::test]
async fn vectors_models_and_counts_come_over_grpc_and_the_rest_over_http() {
    let gate = Gate::open().await;
    let (http, grpc) = (gate.over_http(), gate.over_grpc());
    let request = EmbedRequest::new("mock/embedder", ["one", "two words"]);
    let vectors = grpc.embed(request.clone()).await.unwrap();
    assert_eq!(vectors.vectors.len(), 2);
    assert_eq!(vectors.vectors, http.embed(request).await.unwrap().vectors);
    assert!(vectors.receipt.is_some());

    let models = grpc.models().await.unwrap();
    assert!(!models.is_empty());
    assert_eq!(models, http.models().await.unwrap());

    let counted = GenerateRequest::new("claude/mock", vec![Message::user("one two three")]);
    let count = grpc.count_tokens(counted.clone()).await.unwrap();
    assert!(count > 0);
    assert_eq!(count, http.count_tokens(counted).await.unwrap());

    let usage = grpc.usage(UsageQuery { rows: Some(10), ..UsageQuery::default() }).await.unwrap();
    assert_eq!(usage.rows.len(), 2, "one embedding over each");
    assert!(grpc.budgets().await.unwrap().is_empty());
}

#[tokio::test]
async fn labels_and_keys_travel_as_metadata() {
    let gate = Gate::open().await;
    let mut request = asking("labelled");
    request.options = request.options.tag("project", "blue").idempotency_key("k-1");
    let grpc = gate.over_grpc();
    let first = grpc.generate(request.clone()).await.unwrap();
    // The same key over the other transport is the same call.
    let again = gate.over_http().generate(request.clone()).await.unwrap();
    let ids = [first.receipt.unwrap().request_id, again.receipt.unwrap().request_id];
    assert_eq!(ids[0], ids[1]);
    assert_eq!(gate.mock.served(), 1);
    request.messages.push(Message::user("and more"));
    let conflict = grpc.generate(request).await.unwrap_err();
    assert_eq!((conflict.kind(), conflict.is_retryable()), (ErrorKind::Conflict, false));
    let query =
        UsageQuery { rows: Some(10), tag: Some("project=blue".into()), ..UsageQuery::default() };
    assert_eq!(grpc.usage(query).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn a_hundred_calls_share_one_connection() {
    let gate = Gate::open().await;
    let provider = gate.over_grpc();
    let calls = (0..100).map(|i| {
        let provider = provider.clone();
        async move {
            let answer = provider.generate(asking(&format!("call {i}"))).await.unwrap();
            assert_eq!(answer.text(), format!("call {i}"));
            assert!(matches!(answer.content[0], Part::Text(_)));
        }
    });
    futures_util::future::join_all(calls).await;
}
