//! Resumable calls: the connection breaks, the run goes on.

use crate::{
    alone, assert_numbered,
    gate::{Gate, Open, Reply, SOON},
    type_of,
};
use std::time::Duration;
use tollgate_bench::Mock;

fn resumable(gate: &Gate, key: &str, once: &str, model: &str) -> reqwest::RequestBuilder {
    gate.stream(key, once, model).header("x-tollgate-resumable", "true")
}

#[tokio::test]
async fn a_stream_goes_on_where_its_connection_broke() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let mut open = Open::to(resumable(&gate, &key, "a", "tokens=40,delay=5")).await;
    let id = open.id.clone();
    let mut events = open.take(1).await;
    drop(open);
    loop {
        let after = events.len() - 1;
        let path = format!("/api/v1/runs/{id}/events?after={after}");
        let mut open = Open::to(gate.request(reqwest::Method::GET, &path, &key)).await;
        assert_eq!(open.id, id);
        for _ in 0..7 {
            events.extend(open.next().await);
        }
        if type_of(events.last().unwrap()) == "finish" {
            break;
        }
    }
    assert_numbered(0, &events);
    let whole = Reply::to(resumable(&gate, &key, "a", "tokens=40,delay=5")).await;
    assert_eq!(whole.events(), events);
    assert_eq!((mock.served(), mock.aborted().len(), gate.booked(&key).await), (1, 0, 1));
    let status = gate.status(&key, &id).await;
    assert_eq!((&status["state"], &status["resumable"]), (&"finished".into(), &true.into()));
    assert_eq!(status["next_event"], events.len() as u64);
    assert_eq!(status["receipt"]["request_id"], id);
    let by_key = gate.get(&key, "/api/v1/runs/key:a/events").await;
    assert_eq!(by_key.events(), events);
    let by_header = gate.request(reqwest::Method::GET, "/api/v1/runs/key:a/events", &key);
    let last = (events.len() - 2).to_string();
    let end = Reply::to(by_header.header("last-event-id", last)).await;
    assert_eq!(end.events()[..], events[events.len() - 1..]);
}

#[tokio::test]
async fn a_whole_answer_survives_its_connection() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let ask = || {
        let request = gate.ask(&key, "/api/v1/generate", "a", "tokens=20,delay=20");
        request.header("x-tollgate-resumable", "true")
    };
    let broken = tokio::time::timeout(Duration::from_millis(150), ask().send()).await;
    assert!(broken.is_err(), "it was answered too soon");
    let answer = Reply::to(ask()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!((mock.served(), mock.aborted().len(), gate.booked(&key).await), (1, 0, 1));
}

#[tokio::test]
async fn a_run_that_nobody_comes_back_for_is_cancelled_and_not_made_again() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "[runs]\ngrace_seconds = 1").await;
    let key = gate.any_key().await;
    let mut open = Open::to(resumable(&gate, &key, "a", "stall=3")).await;
    open.take(2).await;
    let id = open.id.clone();
    drop(open);
    assert_eq!(gate.status(&key, &id).await["state"], "running");
    assert!(mock.saw_aborts(1, SOON).await);
    assert_eq!(gate.ended(&key, &id).await, "cancelled");
    let again = Reply::to(resumable(&gate, &key, "a", "stall=3")).await;
    again.assert_error(499, "run_cancelled");
    assert_eq!(mock.served(), 1);
}

#[tokio::test]
async fn a_provider_is_not_read_further_than_the_buffer_while_nobody_reads() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "[runs]\nbuffer_bytes = 65536").await;
    let key = gate.any_key().await;
    let mut open = Open::to(resumable(&gate, &key, "a", "tokens=20000")).await;
    let first = open.take(1).await;
    let id = open.id.clone();
    drop(open);
    // It stands still: the same number twice, far from the end.
    let still = async {
        let mut last = 0;
        loop {
            let next = gate.status(&key, &id).await["next_event"].as_u64().unwrap();
            if next == last && next > 100 {
                return next;
            }
            last = next;
        }
    };
    let next = tokio::time::timeout(SOON, still).await.unwrap();
    assert!(next < 5000, "{next}");
    let path = format!("/api/v1/runs/{id}/events?after=0");
    let rest = Reply::to(gate.request(reqwest::Method::GET, &path, &key)).await.events();
    assert_numbered(1, &rest);
    assert_eq!(type_of(rest.last().unwrap()), "finish");
    assert!(rest.len() > 20_000 && first.len() == 1);
    assert_eq!(mock.served(), 1);
}
