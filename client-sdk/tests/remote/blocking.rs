//! The blocking client, outside of any runtime.

use crate::{
    ANSWER, KEY, builder, request,
    server::{Reply, Server},
};
use tokio::runtime::Runtime;
use tollgate_client::{UsageQuery, blocking::RemoteProvider};
use tollgate_types::{DelegateRequest, EmbedRequest, ErrorKind, Provider, StreamEvent};

const EVENTS: &str = concat!(
    "data: {\"type\":\"start\",\"origin\":{\"api\":\"a\",\"provider\":\"p\",\"model\":\"m\"}}\n\n",
    "data: {\"type\":\"part_start\",\"index\":0,\"part\":{\"type\":\"text\",\"text\":\"hi\"}}\n\n",
    "data: {\"type\":\"finish\",\"finish\":{\"reason\":\"stop\"},\"usage\":{\"input\":9,\"output\":4}}\n\n",
);

/// A server on a runtime of its own: the test itself is on none.
fn play(replies: Vec<Reply>) -> (Runtime, Server, RemoteProvider) {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::play(replies));
    let provider = builder(&server.url).max_retries(0).build_blocking().unwrap();
    (runtime, server, provider)
}

#[test]
fn every_call_can_be_made_without_a_runtime() {
    let vectors = r#"{"vectors": [[0.5]], "usage": {"input": 7, "output": 0}, "model": "small"}"#;
    let report = r#"{"groups": [], "total": {"group": "", "requests": 2, "usage": {},
        "cost_nano_usd": 5}}"#;
    let estimate = r#"{"model": "mock/echo", "targets": ["mock/echo"], "max_input_tokens": 9,
        "likely_input_tokens": 2, "max_output_tokens": 5, "likely_output_tokens": 5,
        "max_cost_nano_usd": 7, "fits": true}"#;
    let bodies = [
        ANSWER,
        vectors,
        r#"{"models": []}"#,
        r#"{"input_tokens": 4}"#,
        estimate,
        report,
        r#"{"budgets": []}"#,
        r#"{"id": "01K", "name": "agent", "key": "tg_01K_secret", "depth": 1, "created_ms": 4,
            "expires_ms": 5, "permissions": {}, "budgets": []}"#,
        r#"{"keys": [{"id": "01K", "name": "agent", "depth": 1, "created_ms": 4,
            "expires_ms": 5, "permissions": {}, "budgets": []}]}"#,
        r#"{"revoked": "01K"}"#,
        r#"{"models": []}"#,
    ];
    let (runtime, mut server, provider) =
        play(bodies.iter().map(|body| Reply::body(200, body)).collect());
    assert_eq!(provider.generate(request()).unwrap().text(), "hi");
    assert_eq!(provider.embed(EmbedRequest::new("m", ["a"])).unwrap().vectors, [[0.5]]);
    assert!(provider.models().unwrap().is_empty());
    assert_eq!(provider.count_tokens(request()).unwrap(), 4);
    assert_eq!(provider.estimate(request()).unwrap().max_input_tokens, 9);
    assert_eq!(provider.usage(UsageQuery::default()).unwrap().total.requests, 2);
    assert!(provider.budgets().unwrap().is_empty());
    let below = provider.delegate(&DelegateRequest::default()).unwrap();
    assert_eq!(provider.delegated().unwrap()[0].id, below.id);
    provider.revoke_delegated(&below.id).unwrap();
    let agent = provider.with_api_key("tg_01K_secret").unwrap();
    assert!(agent.models().unwrap().is_empty());
    let asked: Vec<_> = (0..bodies.len()).map(|_| runtime.block_on(server.request())).collect();
    let credential = |n: usize| asked[n].header("authorization").unwrap();
    assert_eq!(
        (credential(9), credential(10)),
        (&*format!("Bearer {KEY}"), "Bearer tg_01K_secret")
    );
    assert!(asked[9].line.starts_with("DELETE /api/v1/auth/delegate/01K "), "{}", asked[9].line);
    assert_eq!(provider.models().unwrap_err().kind(), ErrorKind::Connection, "nobody listens");
    assert!(!format!("{provider:?}").contains(KEY));
}

#[test]
fn a_stream_is_an_iterator() {
    let replies =
        vec![Reply::events(&[EVENTS]), Reply::events(&[EVENTS]), Reply::events(&[&EVENTS[..200]])];
    let (_runtime, _server, provider) = play(replies);
    let events: Vec<_> = provider.stream(request()).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        events.iter().map(StreamEvent::name).collect::<Vec<_>>(),
        ["start", "part_start", "finish"]
    );
    assert_eq!(provider.stream(request()).unwrap().collect_answer().unwrap().text(), "hi");
    let broken: Vec<_> = provider.stream(request()).unwrap().collect();
    let error = broken.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StreamInterrupted);
}

#[test]
fn dropping_a_stream_cancels_the_call() {
    let held = || Reply::open_events(&[&EVENTS[..200]]).hold();
    let (runtime, mut server, provider) = play(vec![held(), held()]);
    let mut events = provider.stream(request()).unwrap();
    events.next().unwrap().unwrap();
    drop(events);
    runtime.block_on(server.hang_up());
    let mut events = provider.stream(request()).unwrap();
    events.next().unwrap().unwrap();
    assert_eq!(events.cancel().unwrap(), None);
    runtime.block_on(server.hang_up());
}

#[test]
fn threads_can_share_a_provider() {
    let (_runtime, _server, provider) = play((0..8).map(|_| Reply::body(200, ANSWER)).collect());
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| assert_eq!(provider.generate(request()).unwrap().text(), "hi"));
        }
    });
}

#[test]
fn within_a_runtime_it_refuses_and_does_not_panic() {
    let (runtime, _server, provider) = play(vec![Reply::open_events(&[&EVENTS[..200]]).hold()]);
    let mut events = provider.stream(request()).unwrap();
    runtime.block_on(async move {
        let error = provider.generate(request()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.message().contains("async runtime"), "{error}");
        let error = events.next().unwrap().unwrap_err();
        assert!(error.message().contains("async runtime"), "{error}");
        assert!(events.next().is_none());
        // Neither does dropping them, nor building another one.
        drop(events);
        drop(provider);
        let another = builder("http://127.0.0.1:9").build_blocking().unwrap();
        assert!(another.models().is_err());
        let remote = builder("http://127.0.0.1:9").max_retries(0).build().unwrap();
        assert!(RemoteProvider::over(remote.clone()).is_ok() && remote.models().await.is_err());
    });
}
