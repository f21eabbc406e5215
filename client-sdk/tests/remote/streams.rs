//! Streams: cut anywhere, broken anywhere, dropped anywhere.

use crate::{
    builder, provider, request,
    server::{Reply, Server},
};
use std::time::Duration;
use tollgate_types::{
    CallOptions, Error, ErrorKind, EventStream, NanoUsd, Provider, Result, StreamEvent,
};

const START: &str = "id: 0\nevent: start\ndata: {\"type\":\"start\",\"origin\":{\"api\":\"mock\",\"provider\":\"mock\",\"model\":\"echo\"},\"request_id\":\"req-1\"}\n\n";
const PART: &str = "id: 1\nevent: part_start\ndata: {\"type\":\"part_start\",\"index\":0,\"part\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const DELTA: &str = ": ping\n\nid: 2\nevent: part_delta\ndata: {\"type\":\"part_delta\",\"index\":0,\"delta\":\"żółć 🦀\"}\n\n";
const FINISH: &str = "id: 3\r\nevent: finish\r\ndata: {\"type\":\"finish\",\"finish\":{\"reason\":\"stop\"},\"usage\":{\"input\":3,\"output\":2},\"receipt\":{\"request_id\":\"req-1\",\"cost_nano_usd\":7}}\r\n\r\n";

async fn all(mut stream: EventStream) -> Vec<Result<StreamEvent>> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    events
}

async fn play(reply: Reply) -> Vec<Result<StreamEvent>> {
    let server = Server::play(vec![reply]).await;
    all(provider(&server).stream(request()).await.unwrap()).await
}

/// The error that ends the stream, after exactly `good` good events.
async fn failure_after(good: usize, reply: Reply) -> Error {
    let mut events = play(reply).await;
    let error = events.pop().unwrap().unwrap_err();
    assert_eq!(events.len(), good, "{events:?}");
    assert!(events.iter().all(Result::is_ok), "{events:?}");
    assert_eq!(error.request_id(), Some("req-1"));
    error
}

#[tokio::test]
async fn cuts_at_every_byte_give_the_same_events() {
    let body = [START, PART, DELTA, FINISH].concat();
    let whole = play(Reply::events(&[&body])).await;
    assert_eq!(whole.len(), 4);
    assert!(matches!(&whole[2], Ok(StreamEvent::PartDelta { delta, .. }) if delta == "żółć 🦀"));
    assert!(matches!(
        &whole[3],
        Ok(StreamEvent::Finish { receipt: Some(receipt), .. }) if receipt.cost == Some(NanoUsd(7))
    ));

    let replies = (1..body.len()).map(|at| body.as_bytes().split_at(at));
    let replies: Vec<_> = replies.map(|(head, tail)| Reply::events(&[head, tail])).collect();
    let cuts = replies.len();
    let server = Server::play(replies).await;
    let provider = provider(&server);
    for at in 0..cuts {
        let stream = provider.stream(request()).await.unwrap();
        assert_eq!(all(stream).await, whole, "cut at {at}");
    }

    let bytes: Vec<_> = body.bytes().map(|byte| [byte]).collect();
    assert_eq!(play(Reply::events(&bytes)).await, whole);
}

#[tokio::test]
async fn a_stream_without_finish_is_interrupted_however_its_connection_ends() {
    for reply in [
        Reply::events(&[START, PART, DELTA]),
        Reply::open_events(&[START, PART, DELTA]),
        Reply::open_events(&[START, PART, DELTA, "id: 3\ndata: {\"type\":\"fin"]),
    ] {
        let error = failure_after(3, reply).await;
        assert_eq!(error.kind(), ErrorKind::StreamInterrupted, "{error}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_is_interrupted() {
    let server = Server::play(vec![Reply::open_events(&[START, PART]).reset()]).await;
    // A reset may overtake the events, or even the head, that were sent before it.
    let error = match provider(&server).stream(request().options(no_retry())).await {
        Ok(stream) => all(stream).await.pop().unwrap().unwrap_err(),
        Err(error) => error,
    };
    let kinds = [ErrorKind::StreamInterrupted, ErrorKind::Connection];
    assert!(kinds.contains(&error.kind()), "{error:?}");
}

fn no_retry() -> CallOptions {
    CallOptions::default().max_retries(0)
}

#[tokio::test]
async fn an_error_event_is_the_streams_error() {
    let event = "event: error\ndata: {\"type\":\"error\",\"error\":{\"kind\":\"overloaded\",\"message\":\"too much\",\"retryable\":true,\"retry_after_ms\":1500,\"blame\":\"upstream\"}}\n\n";
    let error = failure_after(2, Reply::events(&[START, PART, event, DELTA])).await;
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(error.message(), "too much");
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
}

#[tokio::test]
async fn an_event_of_a_newer_server_is_handed_on() {
    let event = |id| format!("id: {id}\ndata: {{\"type\":\"thought_bubble\",\"shape\":[1,2]}}\n\n");
    let events = play(Reply::events(&[START, &event(1), &event(2), FINISH])).await;
    let Ok(StreamEvent::Raw { api, value }) = &events[1] else { panic!("{events:?}") };
    assert_eq!(api, "tollgate");
    assert_eq!(value["shape"][1], 2);
    assert!(events[2].is_ok() && events[3].is_ok());
}

#[tokio::test]
async fn an_event_that_cannot_be_read_breaks_the_protocol() {
    for event in [
        "data: {\"type\":\"part_delta\",\"index\":\"zero\"}\n\n",
        "data: {\"type\":\n\n",
        "data: [DONE]\n\n",
        "data: {}\n\n",
    ] {
        let error = failure_after(1, Reply::events(&[START, event, FINISH])).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{event}");
    }
    let not_utf8: [&[u8]; 2] = [START.as_bytes(), b"data: {\"type\":\"\xFF\"}\n\n"];
    assert_eq!(failure_after(1, Reply::events(&not_utf8)).await.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn another_content_type_breaks_the_protocol() {
    let page = Reply::body(200, "<html>").header("content-type", "text/html");
    let server = Server::play(vec![page]).await;
    let error = provider(&server).stream(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("text/html"), "{error}");
    assert_eq!((error.body().status, error.request_id()), (Some(200), Some("req-1")));
}

#[tokio::test]
async fn a_dropped_stream_closes_its_connection() {
    let mut server = Server::play(vec![Reply::open_events(&[START, PART]).hold()]).await;
    let mut stream = provider(&server).stream(request()).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(StreamEvent::Start { .. }))));
    drop(stream);
    server.hang_up().await;
}

#[tokio::test]
async fn a_cancelled_stream_closes_its_connection() {
    let mut server = Server::play(vec![Reply::open_events(&[START]).hold()]).await;
    let stream = provider(&server).stream(request()).await.unwrap();
    assert_eq!(stream.cancel().await, None);
    server.hang_up().await;
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection() {
    let mut server = Server::play(vec![Reply::silence()]).await;
    let provider = provider(&server);
    let mut call = provider.generate(request());
    tokio::select! {
        answer = &mut call => panic!("{answer:?}"),
        _ = server.request() => drop(call),
    }
    server.hang_up().await;
}

#[tokio::test]
async fn a_silent_stream_times_out_and_hangs_up() {
    let mut server = Server::play(vec![Reply::open_events(&[START]).hold()]).await;
    let provider = builder(&server.url).idle_timeout(Duration::from_millis(50)).build().unwrap();
    let error = all(provider.stream(request()).await.unwrap()).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    server.hang_up().await;
}

#[tokio::test]
async fn a_calls_own_timeout_covers_the_whole_stream() {
    let server = Server::play(vec![Reply::open_events(&[START]).hold()]).await;
    let limited = request().options(CallOptions::default().timeout(Duration::from_millis(100)));
    let stream = provider(&server).stream(limited).await.unwrap();
    let error = all(stream).await.pop().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}
