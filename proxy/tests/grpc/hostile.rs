//! Bytes and metadata that no good client sends: each is refused with a reason, and the connection
//! serves the next call.

use crate::{
    gate::{Gate, asking},
    raw::{Raw, framed},
};
use prost::Message as _;
use tollgate_types::{
    ErrorKind, GenerateRequest,
    proto::{method, v1},
};
use tonic::Code;

async fn still_serves(raw: &Raw) {
    let answer = raw.call(method::LIST_MODELS, &v1::ListModelsRequest {}).await;
    assert_eq!(answer.code(), Code::Ok);
}

fn hello() -> Vec<u8> {
    v1::GenerateRequest::from(asking("hello")).encode_to_vec()
}

#[tokio::test]
async fn broken_messages_are_refused_by_name() {
    let gate = Gate::open().await;
    let raw = gate.raw();
    let (whole, good) = (framed(&hello()), hello());
    let twice = [whole.clone(), whole.clone()].concat();
    let mut compressed = whole.clone();
    compressed[0] = 1;
    let mut flagged = whole.clone();
    flagged[0] = 7;
    for (body, why) in [
        (Vec::new(), "there is no message"),
        (vec![0, 0, 0], "broke off"),
        (whole[..whole.len() - 1].to_vec(), "broke off"),
        (twice, "one message, not several"),
        (compressed, "broke off"),
        (flagged, "broke off"),
        (framed(&[0xff; 40]), "the message is no tollgate.v1.GenerateRequest"),
        (framed(&good[..good.len() - 2]), "the message is no tollgate.v1.GenerateRequest"),
        (framed(b"{\"model\": \"m\"}"), "GenerateRequest"),
        (framed(&[]), "messages must not be empty"),
    ] {
        let answer = raw.send(method::GENERATE, body).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{why}: {answer:?}");
        let error = answer.error();
        assert!(error.message().contains(why), "{why} is not in: {error}");
        assert!(error.body().param.is_some(), "{error}");
    }
    assert_eq!(gate.mock.served(), 0);
    still_serves(&raw).await;
}

#[tokio::test]
async fn a_field_that_is_not_known_is_refused_and_not_dropped() {
    let gate = Gate::open().await;
    // Field 500, a varint.
    let unknown = [0xa0, 0x1f, 1];
    let answer =
        gate.raw().send(method::GENERATE, framed(&[&hello()[..], &unknown].concat())).await;
    assert_eq!(answer.code(), Code::InvalidArgument);
    assert!(answer.error().message().contains("field 500 of tollgate.v1.GenerateRequest"));
    // The same within a turn.
    let turn = v1::Message::from(tollgate_types::Message::user("a")).encode_to_vec();
    let turn = [&turn[..], &unknown].concat();
    let turn = [&[0x12, u8::try_from(turn.len()).unwrap()], &turn[..]].concat();
    let answer = gate.raw().send(method::GENERATE, framed(&turn)).await;
    assert_eq!(answer.error().body().param.as_deref(), Some("messages"));
}

#[tokio::test]
async fn nested_parts_end_somewhere() {
    let gate = Gate::open().await;
    let mut part = v1::Part::from(tollgate_types::Part::text("deep"));
    for _ in 0..60 {
        let result = v1::ToolResult { content: vec![part], ..v1::ToolResult::default() };
        part = v1::Part { kind: Some(v1::part::Kind::ToolResult(result)) };
    }
    let mut request = v1::GenerateRequest::from(asking("a"));
    request.messages[0].content.push(part);
    let answer = gate.raw().call(method::GENERATE, &request).await;
    assert_eq!(answer.code(), Code::InvalidArgument, "{answer:?}");
    still_serves(&gate.raw()).await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_has_come() {
    let gate = Gate::with("[server]\nmax_body_bytes = 4096\n").await;
    let raw = gate.raw();
    let large = v1::GenerateRequest::from(asking(&"x".repeat(8192)));
    let answer = raw.call(method::GENERATE, &large).await;
    assert_eq!(answer.code(), Code::ResourceExhausted);
    assert_eq!(answer.error().kind(), ErrorKind::TooLarge);
    // A length that is said and never comes.
    let answer = raw.send(method::GENERATE, vec![0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]).await;
    assert_eq!(answer.error().kind(), ErrorKind::TooLarge);
    still_serves(&raw).await;
    let fits = v1::GenerateRequest::from(asking("x"));
    assert_eq!(raw.call(method::GENERATE, &fits).await.code(), Code::Ok);
}

#[tokio::test]
async fn metadata_is_bounded() {
    let gate = Gate::open().await;
    let raw = gate.raw();
    still_serves(&raw).await;
    let mut bomb = gate.raw();
    for i in 0..200 {
        bomb = bomb.with(&format!("x-tollgate-tag-t{i}"), &"v".repeat(256));
    }
    match bomb.try_send(method::LIST_MODELS, framed(&[])).await {
        Ok(refused) => assert_eq!(refused.status(), 431),
        Err(reset) => assert!(reset.is_request(), "{reset}"),
    }
    still_serves(&raw).await;
    let mut many = gate.raw();
    for i in 0..17 {
        many = many.with(&format!("x-tollgate-tag-t{i}"), "v");
    }
    let request = v1::GenerateRequest::from(asking("x"));
    let answer = many.call(method::GENERATE, &request).await;
    assert_eq!(answer.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn wrong_metadata_and_wrong_methods_are_refused() {
    let gate = Gate::open().await;
    let request = v1::GenerateRequest::from(asking("x"));
    for (name, value, param) in [
        ("grpc-timeout", "soon", "grpc-timeout"),
        ("grpc-timeout", "123456789S", "grpc-timeout"),
        ("content-type", "application/json", "content-type"),
        ("idempotency-key", "", "idempotency-key"),
        ("x-tollgate-resumable", "perhaps", "x-tollgate-resumable"),
    ] {
        let answer = gate.raw().with(name, value).call(method::GENERATE, &request).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{name}: {value}");
        assert_eq!(answer.error().body().param.as_deref(), Some(param));
    }
    let answer = gate.raw().with("grpc-encoding", "gzip").call(method::GENERATE, &request).await;
    assert_eq!(answer.code(), Code::Unimplemented);
    for method in
        ["/tollgate.v1.Tollgate/Nothing", "/", "/tollgate.v2.Tollgate/Generate", "/health/live"]
    {
        let answer = gate.raw().call(method, &request).await;
        assert_eq!((answer.status, answer.code()), (200, Code::Unimplemented), "{method}");
    }
    assert_eq!(gate.mock.served(), 0);
}

#[tokio::test]
async fn what_the_vocabulary_forbids_is_refused_with_its_path() {
    let gate = Gate::open().await;
    let mut request = v1::GenerateRequest::from(GenerateRequest::new("mock/echo", vec![]));
    request.messages.push(v1::Message::default());
    let answer = gate.raw().call(method::GENERATE, &request).await;
    assert_eq!(answer.code(), Code::InvalidArgument);
    assert_eq!(answer.error().body().param.as_deref(), Some("messages[0].role"));
}

#[tokio::test]
async fn garbage_instead_of_http2_ends_the_connection_alone() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let gate = Gate::open().await;
    let address = gate.grpc.trim_start_matches("http://");
    for garbage in
        [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], &[0xff; 64], b"PRI * HTTP/2.0\r\n\r\nXX"]
    {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        // Closed or reset; both are an end.
        drop(socket.read_to_end(&mut rest).await);
    }
    still_serves(&gate.raw()).await;
}
