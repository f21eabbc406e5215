//! Which failures are tried again, how often, and under which key.

use crate::{
    ANSWER, builder, provider, request,
    server::{Reply, Server},
};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tollgate_types::{CallOptions, EmbedRequest, ErrorKind, Provider, wire::header};

#[tokio::test]
async fn a_busy_server_is_asked_again_when_it_says_under_the_same_idempotency_key() {
    let busy = Reply::error(503, "overloaded", true).header("retry-after-ms", "30");
    let mut server = Server::play(vec![busy, Reply::body(200, ANSWER)]).await;
    let asked = Instant::now();
    let answer = provider(&server).generate(request()).await.unwrap();
    assert_eq!(answer.text(), "hi");
    assert_eq!(answer.receipt.unwrap().cost.unwrap().0, 42);
    assert!(asked.elapsed() >= Duration::from_millis(30));

    let (first, second) = (server.request().await, server.request().await);
    let key = first.header(header::IDEMPOTENCY_KEY).unwrap();
    assert!(key.len() >= 32, "{key}");
    assert_eq!(second.header(header::IDEMPOTENCY_KEY), Some(key));
    assert_eq!(second.body, first.body);
    assert_eq!(first.header(header::RETRY_COUNT), Some("0"));
    assert_eq!(second.header(header::RETRY_COUNT), Some("1"));
}

/// The server makes vectors once for each idempotency key, as it does answers.
#[tokio::test]
async fn vectors_whose_answer_was_lost_are_asked_for_again_under_the_same_key() {
    let vectors = r#"{"vectors": [[0.5]], "usage": {}, "model": "small"}"#;
    let lost = Reply::error(502, "upstream", true);
    let cut = Reply::body(200, vectors).short_by(3);
    let mut server = Server::play(vec![lost, cut, Reply::body(200, vectors)]).await;
    let request = EmbedRequest::new("m", vec!["a".to_owned()]);
    let answer = provider(&server).embed(request).await.unwrap();
    assert_eq!(answer.vectors, [[0.5]]);
    let mut keys = Vec::new();
    for _ in 0..3 {
        let request = server.request().await;
        keys.push(request.header(header::IDEMPOTENCY_KEY).unwrap().to_owned());
    }
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test]
async fn retry_after_counts_seconds() {
    let busy = Reply::error(429, "rate_limited", true).header("retry-after", "1");
    let server = Server::play(vec![busy, Reply::body(200, ANSWER)]).await;
    let asked = Instant::now();
    provider(&server).generate(request()).await.unwrap();
    assert!(asked.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_server_that_asks_for_a_long_wait_is_not_waited_for() {
    let busy = Reply::error(429, "rate_limited", true).header("retry-after", "3600");
    let server = Server::play(vec![busy, Reply::body(200, ANSWER)]).await;
    let error = provider(&server).generate(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn the_errors_own_retry_signal_decides_before_the_status() {
    for (status, kind, retryable) in [
        (400, "invalid_request", false),
        (401, "authentication", false),
        (402, "quota_exceeded", false),
        (403, "permission_denied", false),
        (409, "conflict", true),
        (409, "conflict", false),
        (422, "conflict", false),
        (500, "internal", false),
        (502, "upstream", true),
        (503, "overloaded", false),
    ] {
        let refused = Reply::error(status, kind, retryable);
        let server = Server::play(vec![refused, Reply::body(200, ANSWER)]).await;
        match provider(&server).generate(request()).await {
            Ok(_) => assert!(retryable, "{status} {kind} was tried again"),
            Err(error) => {
                assert!(!retryable, "{status} {kind} was not tried again");
                assert_eq!(error.kind().as_str(), kind);
                assert_eq!(error.message(), "said the server");
                assert_eq!(error.body().status, Some(status));
                assert_eq!(error.request_id(), Some("req-1"));
            }
        }
    }
}

#[tokio::test]
async fn the_status_decides_when_something_else_answers() {
    for (status, retryable) in [
        (301, false),
        (404, false),
        (408, true),
        (409, false),
        (413, false),
        (425, true),
        (429, true),
        (500, true),
        (501, false),
        (502, true),
        (503, true),
        (504, true),
        (529, true),
    ] {
        let stranger = Reply::body(status, "<html>nginx</html>");
        let server = Server::play(vec![stranger, Reply::body(200, ANSWER)]).await;
        let answer = provider(&server).generate(request()).await;
        assert_eq!(answer.is_ok(), retryable, "{status}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_midway_is_asked_for_again() {
    let cut = Reply::body(200, ANSWER).short_by(40);
    let mut server = Server::play(vec![cut.clone(), cut.reset(), Reply::body(200, ANSWER)]).await;
    assert_eq!(provider(&server).generate(request()).await.unwrap().text(), "hi");
    let keys = [server.request().await, server.request().await, server.request().await]
        .map(|request| request.header(header::IDEMPOTENCY_KEY).unwrap().to_owned());
    assert!(keys[0] == keys[1] && keys[1] == keys[2], "{keys:?}");
}

#[tokio::test]
async fn retries_end_and_the_last_error_is_told() {
    let busy = || Reply::error(503, "overloaded", true);
    let three = || vec![busy(), busy(), busy(), Reply::body(200, ANSWER)];
    let server = Server::play(three()).await;
    let error = provider(&server).generate(request()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);

    let server = Server::play(three()).await;
    let patient = request().options(CallOptions::default().max_retries(3));
    assert!(provider(&server).generate(patient).await.is_ok());
}

#[tokio::test]
async fn a_refused_connection_is_a_connection_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = builder(&url).build().unwrap().models().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.is_retryable());
    assert!(error.message().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_passed_deadline_ends_the_call_and_hangs_up() {
    let mut server = Server::play(vec![Reply::silence(), Reply::body(200, ANSWER)]).await;
    let limited = request().options(CallOptions::default().timeout(Duration::from_millis(50)));
    let error = provider(&server).generate(limited).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    server.hang_up().await;
}

#[tokio::test]
async fn a_retry_that_would_pass_the_deadline_is_not_waited_for() {
    let busy = Reply::error(503, "overloaded", true).header("retry-after", "30");
    let server = Server::play(vec![busy]).await;
    let limited = request().options(CallOptions::default().timeout(Duration::from_secs(5)));
    let asked = Instant::now();
    let error = provider(&server).generate(limited).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(asked.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_stream_is_tried_again_until_it_begins() {
    let events = concat!(
        "data: {\"type\":\"start\",\"origin\":{\"api\":\"m\",\"provider\":\"m\",\"model\":\"m\"}}\n\n",
        "data: {\"type\":\"finish\",\"finish\":{\"reason\":\"stop\"},\"usage\":{}}\n\n",
    );
    let busy = Reply::error(503, "overloaded", true);
    let mut server = Server::play(vec![busy, Reply::events(&[events])]).await;
    let stream = provider(&server).stream(request()).await.unwrap();
    assert!(stream.collect().await.is_ok());
    let (first, second) = (server.request().await, server.request().await);
    let key = |request: &crate::server::Request| {
        request.header(header::IDEMPOTENCY_KEY).unwrap().to_owned()
    };
    assert_eq!(key(&first), key(&second));
}
