//! The real client over WebSocket: it behaves as over HTTP, on one connection.

use crate::{
    gate::{Gate, SOON},
    relay::Relay,
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tollgate_client::{RemoteProvider, RetryPolicy, TransportKind};
use tollgate_types::{
    CallOptions, EmbedRequest, ErrorKind, EventStream, Extras, GenerateRequest, Message, Provider,
    Result, StreamEvent,
};

fn remote(addr: SocketAddr, key: &str, kind: TransportKind) -> RemoteProvider {
    let retry = RetryPolicy { max_retries: 0, max_reconnects: 3, ..RetryPolicy::default() };
    let builder = RemoteProvider::builder().server(format!("http://{addr}")).api_key(key);
    builder.retry(retry).transport(kind).build().unwrap()
}

fn asked(model: &str) -> GenerateRequest {
    GenerateRequest::new(format!("openai/mock-{model}"), vec![Message::user("one two")])
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, work).await.expect("this happens soon")
}

/// The rest of a stream: its text, or what broke it.
async fn told(mut events: EventStream) -> (String, Result<()>) {
    let mut text = String::new();
    while let Some(event) = soon(events.next()).await {
        match event {
            Ok(StreamEvent::PartDelta { delta, .. }) => text.push_str(&delta),
            Ok(_) => {}
            Err(error) => return (text, Err(error)),
        }
    }
    (text.trim().to_owned(), Ok(()))
}

#[tokio::test]
async fn every_call_of_the_trait_says_the_same_over_websocket_and_http_on_one_connection() {
    let gate = Gate::start().await;
    let relay = Relay::to(gate.addr).await;
    let socket = remote(relay.addr, &gate.key, TransportKind::WebSocket);
    let http = remote(gate.addr, &gate.key, TransportKind::Http);
    let mut answers = Vec::new();
    for provider in [&socket, &http] {
        let mut answer = provider.generate(asked("tokens=3,think=2")).await.unwrap();
        let receipt = answer.receipt.take().unwrap();
        assert!(receipt.request_id.len() == 26 && receipt.cost.is_some());
        let mut events = provider.stream(asked("tokens=3,tool")).await.unwrap();
        let mut names = Vec::new();
        while let Some(event) = soon(events.next()).await {
            names.push(event.unwrap().name());
        }
        let vectors = provider.embed(EmbedRequest::new("openai/mock-e", ["a", "b"])).await.unwrap();
        let count = GenerateRequest { model: "anthropic/mock-echo".to_owned(), ..asked("") };
        let count = provider.count_tokens(count).await.unwrap();
        let models = provider.models().await.unwrap();
        let budgets = provider.budgets().await.unwrap();
        answers.push((answer, names, vectors.vectors, count, models, budgets));
    }
    assert_eq!(answers[0], answers[1]);
    // Budgets are reported over HTTP: that is the second connection.
    assert_eq!(relay.connections(), 2);
}

#[tokio::test]
async fn errors_are_those_of_http() {
    let gate = Gate::with("[server]\nmax_body_bytes = 4096\n", &[]).await;
    let mut large = asked("echo");
    large.messages = vec![Message::user("x".repeat(100_000))];
    let mut unfit = asked("echo");
    let fields = [("model".to_owned(), "a".into())].into_iter().collect();
    unfit.extras = Extras::from([("openai".to_owned(), fields)]);
    let refused = [
        (GenerateRequest::new("nobody/x", vec![Message::user("a")]), ErrorKind::NotFound),
        (GenerateRequest { messages: vec![], ..asked("echo") }, ErrorKind::InvalidRequest),
        (large, ErrorKind::TooLarge),
        (asked("status=429"), ErrorKind::RateLimited),
    ];
    let bystander = remote(gate.addr, &gate.key, TransportKind::WebSocket);
    let mut running = bystander.stream(asked("tokens=30,delay=20")).await.unwrap();
    soon(running.next()).await.unwrap().unwrap();
    for (request, kind) in refused {
        let http = remote(gate.addr, &gate.key, TransportKind::Http);
        let expected = http.stream(request.clone()).await.unwrap_err();
        let mut error = bystander.stream(request.clone()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.is_retryable(), expected.is_retryable(), "{error}");
        if kind != ErrorKind::TooLarge {
            assert_eq!(error.request_id().map(str::len), Some(26));
            error = error.with(|body| body.request_id = expected.request_id().map(str::to_owned));
            assert_eq!(error, expected);
        }
        let unary = bystander.generate(request).await.unwrap_err();
        assert_eq!(unary.kind(), kind);
    }
    assert_eq!(told(running).await.0.split(' ').count(), 30, "a bystander is not disturbed");
    let stranger = remote(gate.addr, "tg_nobody", TransportKind::WebSocket);
    let error = stranger.stream(asked("echo")).await.unwrap_err();
    assert_eq!((error.kind(), error.body().status), (ErrorKind::Authentication, Some(401)));
    let mut options = CallOptions::default();
    options.credential = Some("tg_nobody".into());
    let error = bystander.stream(asked("echo").options(options)).await.unwrap_err();
    assert_eq!((error.kind(), error.body().status), (ErrorKind::Authentication, Some(401)));
    assert_eq!(told(bystander.stream(asked("tokens=2")).await.unwrap()).await.0, "w0 w1");
}

#[tokio::test]
async fn a_hundred_streams_share_a_connection_and_a_slow_reader_delays_none_of_them() {
    let gate = Gate::start().await;
    let relay = Relay::to(gate.addr).await;
    let provider = remote(relay.addr, &gate.key, TransportKind::WebSocket);
    // More than its window holds.
    let slow = provider.stream(asked("tokens=20000")).await.unwrap();
    let calls = (1..=100).map(|call| {
        let stream = provider.stream(asked(&format!("tokens={call}")));
        async move { told(stream.await.unwrap()).await.0.split(' ').count() }
    });
    let counts = futures_util::future::join_all(calls).await;
    assert!(counts.into_iter().eq(1..=100));
    assert_eq!(told(slow).await.0.split(' ').count(), 20_000);
    assert_eq!(relay.connections(), 1);
}

#[tokio::test]
async fn dropping_a_call_at_any_point_frees_its_upstream_and_leaves_the_connection_whole() {
    let gate = Gate::start().await;
    let relay = Relay::to(gate.addr).await;
    let provider = remote(relay.addr, &gate.key, TransportKind::WebSocket);
    let mut events = provider.stream(asked("tokens=100000,delay=10")).await.unwrap();
    soon(events.next()).await.unwrap().unwrap();
    drop(events);
    assert!(gate.mock.saw_aborts(1, SOON).await);
    let begun = gate.mock.served();
    for whole in [true, false] {
        let request = asked("headers_delay=60000");
        let call = async {
            match whole {
                true => provider.generate(request).await.map(drop),
                false => provider.stream(request).await.map(drop),
            }
        };
        let served = async {
            while gate.mock.served() == begun + usize::from(!whole) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = call => panic!("no answer was to come: {answer:?}"),
            () = soon(served) => {}
        }
    }
    assert!(gate.mock.saw_aborts(3, SOON).await);
    assert_eq!(told(provider.stream(asked("tokens=2")).await.unwrap()).await.0, "w0 w1");
    assert_eq!(relay.connections(), 1);
}

#[tokio::test]
async fn when_the_last_end_is_dropped_the_connection_closes() {
    let gate = Gate::start().await;
    let mut relay = Relay::to(gate.addr).await;
    let provider = remote(relay.addr, &gate.key, TransportKind::WebSocket);
    let events = provider.stream(asked("tokens=50,delay=5")).await.unwrap();
    let clone = provider.clone();
    drop(provider);
    drop(clone);
    // A stream keeps what it needs.
    assert_eq!(told(events).await.0.split(' ').count(), 50);
    relay.is_left().await;
    assert_eq!(relay.connections(), 1);
}

#[tokio::test]
async fn a_cut_connection_breaks_its_streams_with_a_typed_error_and_the_next_call_opens_another() {
    let gate = Gate::start().await;
    let relay = Relay::to(gate.addr).await;
    let provider = remote(relay.addr, &gate.key, TransportKind::WebSocket);
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut events = provider.stream(asked("tokens=100000,delay=10")).await.unwrap();
        soon(events.next()).await.unwrap().unwrap();
        streams.push(events);
    }
    let unary = provider.generate(asked("headers_delay=60000"));
    let cut = async {
        while gate.mock.served() < 6 {
            tokio::task::yield_now().await;
        }
        relay.cut();
    };
    let (unary, ()) = tokio::join!(unary, cut);
    let error = unary.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connection, true), "{error}");
    for events in streams {
        let error = told(events).await.1.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StreamInterrupted, "{error}");
        assert_eq!(error.request_id().map(str::len), Some(26));
    }
    assert!(gate.mock.saw_aborts(6, SOON).await);
    assert_eq!(told(provider.stream(asked("tokens=2")).await.unwrap()).await.0, "w0 w1");
    assert_eq!(relay.connections(), 2);
}

#[tokio::test]
async fn what_is_no_tollgate_server_is_said_to_be_none() {
    for (answer, kind, code) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>",
            ErrorKind::Protocol,
            Some("not_tollgate"),
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n",
            ErrorKind::Protocol,
            Some("not_tollgate"),
        ),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            ErrorKind::NotFound,
            Some("not_tollgate"),
        ),
        ("", ErrorKind::Connection, None),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = remote(listener.local_addr().unwrap(), "tg_k", TransportKind::WebSocket);
        let stranger = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
            socket.write_all(answer.as_bytes()).await.unwrap();
        };
        let (refused, ()) = tokio::join!(provider.stream(asked("echo")), stranger);
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.body().code.as_deref()), (kind, code), "{answer}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let provider = RemoteProvider::builder()
        .server(format!("http://{}", listener.local_addr().unwrap()))
        .api_key("tg_k")
        .max_retries(0)
        .idle_timeout(Duration::from_millis(200))
        .transport(TransportKind::WebSocket)
        .build()
        .unwrap();
    let silent = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = [0; 4096];
        let length = socket.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..length]).to_string();
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-protocol: tollgate.v1\r\nsec-websocket-accept: {accept}\r\n\r\n"
        );
        socket.write_all(answer.as_bytes()).await.unwrap();
        // Reads on, and never says anything.
        while socket.read(&mut [0; 4096]).await.unwrap_or(0) > 0 {}
    };
    let (refused, ()) = tokio::join!(soon(provider.stream(asked("echo"))), soon(silent));
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connection, true), "{error}");
}
