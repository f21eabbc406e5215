//! What goes wrong is told as a status, with the whole error beside it.

use crate::gate::{Gate, asking};
use tollgate::ingress::grpc::{GUARDED_METHODS, OPEN_METHODS};
use tollgate_types::{
    ErrorKind, Provider,
    proto::{health::HealthCheckRequest, metadata::RETRY_PUSHBACK, method, v1},
};
use tonic::Code;

#[tokio::test]
async fn every_method_but_health_asks_for_a_credential() {
    let gate = Gate::open().await;
    let raw = gate.raw().without("authorization");
    for method in GUARDED_METHODS {
        let answer = raw.send(method, crate::raw::framed(&[])).await;
        assert_eq!(answer.code(), Code::Unauthenticated, "{method}");
        let error = answer.error();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{method}");
        assert_eq!(error.body().code.as_deref(), Some("missing_api_key"));
        assert_eq!(error.request_id(), answer.metadata("x-request-id"));
        assert_eq!(answer.metadata(RETRY_PUSHBACK), Some("-1"));
    }
    let check = raw.call(OPEN_METHODS[0], &HealthCheckRequest::default()).await;
    assert_eq!(check.code(), Code::Ok);
    let wrong = gate.raw().with("authorization", "Bearer tg_wrong");
    let answer = wrong.call(method::LIST_MODELS, &v1::ListModelsRequest {}).await;
    assert_eq!(answer.error().body().code.as_deref(), Some("invalid_api_key"));
    // The other way that a key may come.
    let other = gate.raw().without("authorization").with("x-api-key", &gate.key);
    let answer = other.call(method::LIST_MODELS, &v1::ListModelsRequest {}).await;
    assert_eq!(answer.code(), Code::Ok);
}

#[tokio::test]
async fn the_whole_error_reaches_the_client_as_over_http() {
    let gate = Gate::open().await;
    let (http, grpc) = (gate.over_http(), gate.over_grpc());
    for words in [
        "[[mock status=429 retry_after=2]]",
        "[[mock status=400 code=bad_thing]]",
        "[[mock status=500]]",
        "[[mock status=401]]",
        "[[mock status=529]]",
    ] {
        let over_http = http.generate(asking(words)).await.unwrap_err();
        let over_grpc = grpc.generate(asking(words)).await.unwrap_err();
        let said = |error: &tollgate_types::Error| {
            let body = error.body().clone();
            (body.kind, body.message, body.code, body.status, body.retryable, body.retry_after_ms)
        };
        assert_eq!(said(&over_grpc), said(&over_http), "{words}");
        assert!(over_grpc.request_id().is_some());
    }
    let mut unknown = asking("hi");
    unknown.model = "nobody/knows".to_owned();
    let error = grpc.generate(unknown.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.body().code.as_deref(), Some("model_not_found"));
    assert_eq!(grpc.stream(unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_stream_that_breaks_upstream_ends_with_its_error_and_number() {
    let gate = Gate::open().await;
    let request = v1::GenerateRequest::from(asking("[[mock tokens=20 error=5]]"));
    let answer = gate.raw().call(method::STREAM, &request).await;
    assert!(!answer.messages.is_empty());
    assert_ne!(answer.code(), Code::Ok);
    let number = answer.metadata("tollgate-event-number").unwrap();
    assert_eq!(number.parse::<usize>().unwrap(), answer.messages.len());

    let grpc = gate.over_grpc();
    let mut events = grpc.stream(asking("[[mock tokens=20 reset=5]]")).await.unwrap();
    let mut error = None;
    while let Some(event) = events.next().await {
        error = event.err();
    }
    assert_eq!(error.unwrap().kind(), ErrorKind::StreamInterrupted);
}

#[tokio::test]
async fn a_rate_is_told_and_says_when_to_come_back() {
    let gate = Gate::open().await;
    let key = gate.limited_key(1).await;
    let raw = gate.raw().with("authorization", &format!("Bearer {key}"));
    let request = v1::GenerateRequest::from(asking("one"));
    let first = raw.call(method::GENERATE, &request).await;
    assert_eq!(first.code(), Code::Ok);
    assert_eq!(first.metadata("x-ratelimit-limit-requests"), Some("1"));
    let second = raw.call(method::GENERATE, &request).await;
    assert_eq!(second.code(), Code::ResourceExhausted);
    assert_eq!(second.error().kind(), ErrorKind::RateLimited);
    let wait: i64 = second.metadata(RETRY_PUSHBACK).unwrap().parse().unwrap();
    assert!((1..=60_000).contains(&wait), "{wait}");
    assert_eq!(second.metadata("x-ratelimit-remaining-requests"), Some("0"));
}

#[tokio::test]
async fn who_speaks_grpc_to_the_wrong_port_is_told_so() {
    let gate = Gate::open().await;
    let builder = gate.builder().transport(tollgate_client::TransportKind::Grpc);
    // Without an address of its own, that of the server is taken, which speaks HTTP/1.1 alone.
    let error = builder.build().unwrap().generate(asking("hi")).await.unwrap_err();
    assert!(error.message().contains("grpc.listen"), "{error}");
    assert!(!format!("{error:?}").contains(&gate.key));
    // And who speaks HTTP to the port of gRPC.
    let wrong = gate.builder().server(&gate.grpc).build().unwrap();
    let error = wrong.generate(asking("hi")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection | ErrorKind::Protocol), "{error}");
}
