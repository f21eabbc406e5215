//! The same call again: one run, one charge, one answer.

use crate::{
    alone, assert_numbered,
    gate::{Open, Reply},
    type_of,
};
use tollgate_bench::Mock;

#[tokio::test]
async fn a_retry_joins_the_running_call_from_its_beginning() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let mut first = Open::to(gate.stream(&key, "a", "tokens=30,delay=10")).await;
    let begun = first.take(4).await;
    let again = Reply::to(gate.stream(&key, "a", "tokens=30,delay=10")).await;
    let whole = again.events();
    assert_numbered(0, &whole);
    assert_eq!(type_of(whole.last().unwrap()), "finish");
    assert_eq!(again.header("x-request-id"), first.id);
    assert_eq!(begun[..], whole[..4]);
    assert_eq!(first.rest().await[..], whole[4..]);
    let unary = Reply::to(gate.ask(&key, "/api/v1/generate", "a", "tokens=30,delay=10")).await;
    assert_eq!(unary.json()["receipt"]["request_id"], first.id);
    assert_eq!(unary.header("x-request-id"), first.id);
    assert_eq!((mock.served(), gate.booked(&key).await), (1, 1));
}

#[tokio::test]
async fn a_crowd_under_one_key_is_one_call() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let paths = ["/api/v1/stream", "/api/v1/generate"];
    let asks = (0..24).map(|n| Reply::to(gate.ask(&key, paths[n % 2], "a", "tokens=5,delay=5")));
    let replies = futures_util::future::join_all(asks).await;
    for reply in &replies {
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.header("x-request-id"), replies[0].header("x-request-id"));
    }
    assert_eq!(replies[0].body, replies[22].body);
    assert_eq!(replies[1].body, replies[23].body);
    assert_eq!((mock.served(), gate.booked(&key).await), (1, 1));
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_api_key() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let (key, other) = (gate.any_key().await, gate.any_key().await);
    let mut running = Open::to(gate.stream(&key, "a", "tokens=9,delay=20")).await;
    for _ in 0..2 {
        let changed = Reply::to(gate.stream(&key, "a", "tokens=8")).await;
        changed.assert_error(409, "idempotency_key_reused");
        assert_eq!(changed.json()["error"]["retryable"], false);
        running.rest().await;
    }
    assert_eq!(Reply::to(gate.stream(&other, "a", "tokens=8")).await.status, 200);
    assert_eq!(mock.served(), 2);
}

#[tokio::test]
async fn a_call_that_failed_is_made_again_and_its_end_can_be_read() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    for served in 1..=2 {
        let refused = Reply::to(gate.stream(&key, "a", "status=500")).await;
        assert_eq!((refused.status, mock.served()), (502, served));
    }
    let broken = Reply::to(gate.stream(&key, "b", "tokens=9,error=4")).await;
    let events = broken.events();
    assert_eq!(type_of(events.last().unwrap()), "error");
    let id = broken.header("x-request-id").to_owned();
    let status = gate.status(&key, &id).await;
    assert_eq!(status["state"], "failed");
    assert!(status["error"]["kind"].is_string(), "{status}");
    let last = gate.get(&key, &format!("/api/v1/runs/{id}/events?after=1")).await;
    assert_eq!(last.events()[..], events[2..]);
    let again = Reply::to(gate.stream(&key, "b", "tokens=9,error=4")).await;
    assert_ne!(again.header("x-request-id"), id);
    assert_eq!(mock.served(), 4);
}

#[tokio::test]
async fn what_is_too_large_to_keep_reaches_its_reader_and_is_not_replayed() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "[runs]\nreplay_bytes = 65536").await;
    let key = gate.any_key().await;
    let large = Reply::to(gate.stream(&key, "a", "tokens=4000")).await;
    let events = large.events();
    assert_numbered(0, &events);
    assert!(large.body.len() > 65_536 && type_of(events.last().unwrap()) == "finish");
    let again = Reply::to(gate.stream(&key, "a", "tokens=4000")).await;
    again.assert_error(409, "answer_not_kept");
    assert_eq!(again.json()["error"]["retryable"], false);
    let id = large.header("x-request-id");
    let gone = gate.get(&key, &format!("/api/v1/runs/{id}/events?after=3")).await;
    gone.assert_error(409, "events_not_kept");
    let last = events.len() - 2;
    let end = gate.get(&key, &format!("/api/v1/runs/{id}/events?after={last}")).await;
    assert_eq!(end.events()[..], events[last + 1..]);
    assert_eq!((mock.served(), gate.booked(&key).await), (1, 1));
}
