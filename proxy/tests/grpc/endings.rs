//! Calls that end early: cancelled, late, unread, or because the server stops.

use crate::{
    gate::{Gate, asking},
    raw::whole_frames,
};
use bytes::BytesMut;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tollgate_client::UsageQuery;
use tollgate_types::{
    ErrorKind, Provider, StreamEvent,
    proto::{method, v1},
};
use tonic::Code;

const SOON: Duration = Duration::from_secs(10);

/// Waits until the upstream was left; how long that took.
async fn left(gate: &Gate, since: Instant) -> Duration {
    assert!(gate.mock.saw_aborts(1, SOON).await, "the upstream was not left");
    gate.mock.aborted()[0].at.duration_since(since)
}

#[tokio::test]
async fn dropping_a_stream_frees_the_upstream_at_once_and_is_charged_for_what_came() {
    let gate = Gate::open().await;
    let provider = gate.over_grpc();
    let mut events = provider.stream(asking("[[mock tokens=5000 delay=10]]")).await.unwrap();
    while !matches!(events.next().await.unwrap().unwrap(), StreamEvent::PartDelta { .. }) {}
    let dropped = Instant::now();
    drop(events);
    let took = left(&gate, dropped).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    let rows = async || {
        let query = UsageQuery { rows: Some(1), ..UsageQuery::default() };
        provider.usage(query).await.unwrap().rows.len()
    };
    let began = Instant::now();
    while rows().await == 0 {
        assert!(began.elapsed() < SOON, "no usage row");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn dropping_a_call_that_waits_frees_the_upstream() {
    let gate = Gate::open().await;
    let provider = gate.over_grpc();
    let call = provider.generate(asking("[[mock tokens=5000 delay=10]]"));
    let raced = tokio::select! {
        answer = call => Some(answer),
        () = async { while gate.mock.served() == 0 { tokio::task::yield_now().await } } => None,
    };
    assert!(raced.is_none());
    left(&gate, Instant::now()).await;
}

#[tokio::test]
async fn a_deadline_ends_a_call_and_a_stream() {
    let gate = Gate::open().await;
    let slow = v1::GenerateRequest::from(asking("[[mock tokens=5000 delay=20]]"));
    let raw = gate.raw().with("grpc-timeout", "400m");
    let began = Instant::now();
    let answer = raw.call(method::GENERATE, &slow).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
    assert!(!answer.error().is_retryable());
    assert!(gate.mock.saw_aborts(1, SOON).await);
    let answer = raw.call(method::STREAM, &slow).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
    assert!(!answer.messages.is_empty(), "what came before it is kept");
    assert!(gate.mock.saw_aborts(2, SOON).await);
    assert!(began.elapsed() < SOON);
    let answer = raw.with("grpc-timeout", "0n").call(method::GENERATE, &slow).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_clients_own_deadline_frees_the_upstream_too() {
    let gate = Gate::open().await;
    let mut request = asking("[[mock tokens=5000 delay=20]]");
    request.options = request.options.timeout(Duration::from_secs(2));
    let error = gate.over_grpc().generate(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(gate.mock.served(), 1);
    assert!(gate.mock.saw_aborts(1, SOON).await);
}

#[tokio::test]
async fn who_does_not_read_holds_the_upstream_back_and_nobody_else() {
    let gate = Gate::open().await;
    let provider = gate.over_grpc();
    // More than windows and buffers hold: the call cannot be over before it is read.
    let mut unread = provider.stream(asking("[[mock tokens=200000]]")).await.unwrap();
    unread.next().await.unwrap().unwrap();
    for i in 0..20 {
        let text = format!("quick {i}");
        assert_eq!(provider.generate(asking(&text)).await.unwrap().text(), text);
    }
    drop(unread);
    left(&gate, Instant::now()).await;
}

#[tokio::test]
async fn a_stream_that_runs_when_the_server_stops_finishes() {
    let mut gate = Gate::open().await;
    let provider = gate.over_grpc();
    let mut events = provider.stream(asking("[[mock tokens=60 delay=10]]")).await.unwrap();
    events.next().await.unwrap().unwrap();
    gate.stop();
    let answer = async {
        let mut words = 0;
        while let Some(event) = events.next().await {
            words += usize::from(matches!(event.unwrap(), StreamEvent::PartDelta { .. }));
        }
        words
    };
    assert!(answer.await >= 60);
    assert!(gate.ended().await, "something was not settled");
}

#[tokio::test]
async fn a_stream_that_outlasts_the_drain_ends_with_a_status() {
    let mut gate = Gate::with("[server]\ndrain_seconds = 1\n").await;
    let request = v1::GenerateRequest::from(asking("[[mock tokens=50000 delay=20]]"));
    let raw = gate.raw();
    let body = crate::raw::framed(&prost::Message::encode_to_vec(&request));
    let mut response = raw.try_send(method::STREAM, body).await.unwrap();
    let mut bytes = BytesMut::new();
    while whole_frames(&bytes) < 3 {
        bytes.extend_from_slice(&response.chunk().await.unwrap().unwrap());
    }
    gate.stop();
    use http_body_util::BodyExt;
    let rest = reqwest::Body::from(response).collect().await.unwrap();
    let status = rest.trailers().unwrap().get("grpc-status").unwrap().to_str().unwrap().to_owned();
    assert_eq!(Code::from_i32(status.parse().unwrap()), Code::Unavailable);
    assert!(gate.ended().await, "something was not settled");
}

/// A peer that vanished does not answer the goodbye of HTTP/2, and has no calls to wait for.
#[tokio::test]
async fn a_peer_that_is_gone_does_not_hold_up_a_server_that_stops() {
    let mut gate = Gate::open().await;
    let addr = gate.grpc.trim_start_matches("http://").to_owned();
    let mut peer = tokio::net::TcpStream::connect(addr).await.unwrap();
    // The preface of HTTP/2, and settings that say nothing.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    peer.write_all(preface).await.unwrap();
    // The server's own settings: the connection stands.
    peer.read_exact(&mut [0; 9]).await.unwrap();
    let began = Instant::now();
    gate.stop();
    assert!(gate.ended().await, "something was not settled");
    // By default running calls may take 30 s.
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    drop(peer);
}
