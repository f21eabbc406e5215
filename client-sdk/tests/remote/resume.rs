//! Resumable calls: joined again where they broke, cancelled where they were left.

use crate::{
    ANSWER, KEY, builder, request,
    server::{Reply, Server},
};
use std::time::{Duration, Instant};
use tollgate_client::{RemoteProvider, RetryPolicy};
use tollgate_types::{
    CallOptions, Error, ErrorKind, EventStream, Provider, Result, StreamEvent, wire::header,
};

const START: &str = "id: 0\ndata: {\"type\":\"start\",\"origin\":{\"api\":\"m\",\"provider\":\"m\",\"model\":\"m\"},\"request_id\":\"req-1\"}\n\n";
const PART: &str = "id: 1\ndata: {\"type\":\"part_start\",\"index\":0,\"part\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
const DELTA: &str = "id: 2\ndata: {\"type\":\"part_delta\",\"index\":0,\"delta\":\"hi\"}\n\n";
const FINISH: &str = "id: 3\ndata: {\"type\":\"finish\",\"finish\":{\"reason\":\"stop\"},\"usage\":{\"output\":1}}\n\n";

fn resumable(server: &Server) -> RemoteProvider {
    builder(&server.url).resumable(true).build().unwrap()
}

async fn all(mut stream: EventStream) -> Vec<Result<StreamEvent>> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    events
}

fn names(events: &[Result<StreamEvent>]) -> Vec<&'static str> {
    events.iter().map(|event| event.as_ref().map_or("broken", |event| event.name())).collect()
}

/// The error that ends a stream, and how many events came before.
async fn failure(provider: &RemoteProvider) -> (usize, Error) {
    let mut events = all(provider.stream(request()).await.unwrap()).await;
    let error = events.pop().unwrap().unwrap_err();
    assert!(events.iter().all(Result::is_ok), "{events:?}");
    (events.len(), error)
}

/// A request of HTTP cannot tell a model that thinks from a connection that is dead.
#[tokio::test]
async fn a_resumable_call_that_hears_nothing_is_asked_for_again_and_no_other() {
    let whole = Reply::events(&[START, PART, DELTA, FINISH]);
    let mut server = Server::play(vec![Reply::silence(), whole]).await;
    let patience = Duration::from_millis(50);
    let hasty = |server: &Server| builder(&server.url).idle_timeout(patience).max_retries(0);
    let provider = hasty(&server).resumable(true).build().unwrap();
    let events = all(provider.stream(request()).await.unwrap()).await;
    assert_eq!(names(&events), ["start", "part_start", "part_delta", "finish"]);
    let (first, second) = (server.request().await, server.request().await);
    assert_eq!((&second.line, &second.body), (&first.line, &first.body));
    let key = first.header(header::IDEMPOTENCY_KEY);
    assert!(key.is_some() && second.header(header::IDEMPOTENCY_KEY) == key);

    let server = Server::play(vec![Reply::silence(), Reply::body(200, ANSWER)]).await;
    let provider = hasty(&server).resumable(true).build().unwrap();
    assert_eq!(provider.generate(request()).await.unwrap().text(), "hi");

    let server = Server::play(vec![Reply::silence(), Reply::body(200, ANSWER)]).await;
    let provider = hasty(&server).total_timeout(patience * 6).build().unwrap();
    let error = provider.generate(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "it would be another call: {error}");
}

#[tokio::test]
async fn a_stream_is_joined_again_behind_its_last_event_however_it_broke() {
    for broken in [
        Reply::events(&[START, PART]),
        Reply::open_events(&[START, PART]),
        Reply::open_events(&[START, PART, "id: 2\ndata: {\"type\":\"part_de"]),
    ] {
        let rest = Reply::events(&[DELTA, FINISH]);
        let mut server = Server::play(vec![broken, rest]).await;
        let events = all(resumable(&server).stream(request()).await.unwrap()).await;
        assert_eq!(names(&events), ["start", "part_start", "part_delta", "finish"]);
        let (first, second) = (server.request().await, server.request().await);
        assert_eq!(first.header(header::RESUMABLE), Some("true"));
        assert_eq!(second.line, "GET /api/v1/runs/req-1/events?after=1 HTTP/1.1");
        assert_eq!(second.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }
}

#[tokio::test]
async fn a_stream_that_breaks_again_and_again_loses_nothing_and_tells_nothing_twice() {
    let cut = |pieces: &[&str]| Reply::events(pieces);
    let busy = Reply::error(503, "overloaded", true);
    let replies = vec![
        cut(&[START]),
        cut(&[START, PART]),
        busy,
        cut(&[START, PART, DELTA]),
        cut(&[]),
        cut(&[DELTA, FINISH]),
    ];
    let server = Server::play(replies).await;
    let events = all(resumable(&server).stream(request()).await.unwrap()).await;
    assert_eq!(names(&events), ["start", "part_start", "part_delta", "finish"]);
}

#[tokio::test]
async fn a_silent_stream_is_joined_again() {
    let held = Reply::open_events(&[START, PART]).hold();
    let mut server = Server::play(vec![held, Reply::events(&[DELTA, FINISH])]).await;
    let provider = builder(&server.url)
        .resumable(true)
        .idle_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let events = all(provider.stream(request()).await.unwrap()).await;
    assert_eq!(names(&events), ["start", "part_start", "part_delta", "finish"]);
    server.hang_up().await;
}

#[tokio::test]
async fn a_server_that_lost_the_one_that_makes_the_run_is_asked_again() {
    let lost = "id: 1\ndata: {\"type\":\"error\",\"error\":{\"kind\":\"stream_interrupted\",\"code\":\"run_elsewhere\",\"message\":\"lost\",\"retryable\":true,\"blame\":\"us\"}}\n\n";
    let replies = vec![Reply::events(&[START, lost]), Reply::events(&[PART, DELTA, FINISH])];
    let mut server = Server::play(replies).await;
    let events = all(resumable(&server).stream(request()).await.unwrap()).await;
    assert_eq!(names(&events), ["start", "part_start", "part_delta", "finish"]);
    server.request().await;
    assert_eq!(server.request().await.line, "GET /api/v1/runs/req-1/events?after=0 HTTP/1.1");
}

#[tokio::test]
async fn a_missing_event_breaks_the_protocol() {
    let server = Server::play(vec![Reply::events(&[START]), Reply::events(&[DELTA, FINISH])]).await;
    let (good, error) = failure(&resumable(&server)).await;
    assert_eq!((good, error.kind()), (1, ErrorKind::Protocol));
    assert!(error.message().contains("event 1 is missing"), "{error}");
    assert_eq!(error.request_id(), Some("req-1"));
}

#[tokio::test]
async fn a_run_that_the_server_has_forgotten_is_interrupted() {
    let gone = Reply::error(404, "not_found", false);
    let server = Server::play(vec![Reply::events(&[START, PART]), gone]).await;
    let (good, error) = failure(&resumable(&server)).await;
    assert_eq!((good, error.kind()), (2, ErrorKind::StreamInterrupted));
    assert!(error.message().contains("cannot be joined again"), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn joining_ends_with_the_policy_and_with_the_deadline() {
    let busy = || Reply::error(503, "overloaded", true);
    let policy = RetryPolicy {
        initial_wait: Duration::from_millis(1),
        max_reconnects: 2,
        ..RetryPolicy::default()
    };
    let replies = vec![Reply::events(&[START]), busy(), busy(), busy()];
    let server = Server::play(replies).await;
    let provider = builder(&server.url).resumable(true).retry(policy).build().unwrap();
    let (good, error) = failure(&provider).await;
    assert_eq!((good, error.kind()), (1, ErrorKind::Overloaded));

    let server = Server::play(vec![Reply::events(&[START]), Reply::silence()]).await;
    let limited = request().options(CallOptions::default().timeout(Duration::from_millis(200)));
    let asked = Instant::now();
    let events = all(resumable(&server).stream(limited).await.unwrap()).await;
    let error = events.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_calls_own_choice_counts_before_the_clients() {
    let mut server = Server::play(vec![Reply::events(&[START])]).await;
    let not = request().options(CallOptions::default().resumable(false));
    let events = all(resumable(&server).stream(not).await.unwrap()).await;
    assert_eq!(names(&events), ["start", "broken"]);
    assert_eq!(server.request().await.header(header::RESUMABLE), None);

    let mut server = Server::play(vec![Reply::body(200, ANSWER)]).await;
    let provider = builder(&server.url).build().unwrap();
    let resumable = request().options(CallOptions::default().resumable(true));
    provider.generate(resumable).await.unwrap();
    assert_eq!(server.request().await.header(header::RESUMABLE), Some("true"));
}

#[tokio::test]
async fn a_dropped_stream_is_cancelled_by_its_id() {
    let held = Reply::open_events(&[START, PART]).hold();
    let mut server = Server::play(vec![held, Reply::body(204, "")]).await;
    let mut stream = resumable(&server).stream(request()).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    server.hang_up().await;
    server.request().await;
    let cancel = server.request().await;
    assert_eq!(cancel.line, "DELETE /api/v1/runs/req-1 HTTP/1.1");
    assert_eq!(cancel.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
}

#[tokio::test]
async fn a_cancelled_stream_waits_until_the_server_has_heard() {
    let held = Reply::open_events(&[START]).hold();
    let mut server = Server::play(vec![held, Reply::body(204, "")]).await;
    let stream = resumable(&server).stream(request()).await.unwrap();
    assert_eq!(stream.cancel().await, None);
    server.request().await;
    assert_eq!(server.request().await.line, "DELETE /api/v1/runs/req-1 HTTP/1.1");
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_by_its_key_before_it_has_an_id() {
    let mut server = Server::play(vec![Reply::silence(), Reply::body(204, "")]).await;
    let provider = resumable(&server);
    let mine = request().options(CallOptions::default().idempotency_key("my/key"));
    let mut call = provider.generate(mine);
    tokio::select! {
        answer = &mut call => panic!("{answer:?}"),
        _ = server.request() => drop(call),
    }
    assert_eq!(server.request().await.line, "DELETE /api/v1/runs/key:my%2Fkey HTTP/1.1");
}

#[tokio::test]
async fn a_call_whose_time_is_over_is_cancelled() {
    let mut server = Server::play(vec![Reply::silence(), Reply::body(204, "")]).await;
    let limited = request()
        .options(CallOptions::default().idempotency_key("late").timeout(Duration::from_millis(50)));
    let error = resumable(&server).generate(limited).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    server.request().await;
    assert_eq!(server.request().await.line, "DELETE /api/v1/runs/key:late HTTP/1.1");
}

#[tokio::test]
async fn what_has_ended_is_not_cancelled() {
    let error = "id: 1\ndata: {\"type\":\"error\",\"error\":{\"kind\":\"upstream\",\"message\":\"no\",\"retryable\":false,\"blame\":\"upstream\"}}\n\n";
    let replies = vec![
        Reply::events(&[START, PART, DELTA, FINISH]),
        Reply::events(&[START, error]),
        Reply::error(402, "quota_exceeded", false),
        Reply::body(200, ANSWER),
    ];
    let mut server = Server::play(replies).await;
    let provider = resumable(&server);
    all(provider.stream(request()).await.unwrap()).await;
    all(provider.stream(request()).await.unwrap()).await;
    provider.generate(request()).await.unwrap_err();
    provider.generate(request()).await.unwrap();
    for _ in 0..4 {
        assert!(server.request().await.line.starts_with("POST"));
    }
}
