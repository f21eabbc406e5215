//! Runs that end before their answer: by their caller's leaving, or word.

use crate::{
    alone,
    gate::{Open, Reply},
    type_of,
};
use std::time::{Duration, Instant};
use tollgate_bench::Mock;

/// How soon the provider is stopped; a loaded machine is slower than that.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_call_with_a_key_is_cancelled_when_its_last_reader_leaves() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let mut first = Open::to(gate.stream(&key, "a", "stall=3")).await;
    let mut second = Open::to(gate.stream(&key, "a", "stall=3")).await;
    first.take(2).await;
    second.take(2).await;
    let id = first.id.clone();
    drop(first);
    assert_eq!(gate.status(&key, &id).await["state"], "running");
    let left = Instant::now();
    drop(second);
    assert!(mock.saw_aborts(1, AT_ONCE).await);
    println!("the provider was stopped {:?} after the last reader left", left.elapsed());
    assert_eq!(gate.ended(&key, &id).await, "cancelled");
    let again = Reply::to(gate.stream(&key, "a", "tokens=2")).await;
    assert_eq!(again.status, 200, "a key is free after a call that broke off: {}", again.body);
}

#[tokio::test]
async fn a_run_is_cancelled_by_word_once_and_for_good() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    for (once, resumable) in [("a", "true"), ("b/%c d", "false")] {
        let request =
            || gate.stream(&key, once, "stall=3").header("x-tollgate-resumable", resumable);
        let mut open = Open::to(request()).await;
        open.take(2).await;
        let name = match resumable {
            "true" => open.id.clone(),
            _ => "key:b%2F%25c%20d".to_owned(),
        };
        assert_eq!(gate.cancel(&key, &name).await.status, 204);
        let rest = open.rest().await;
        assert_eq!(type_of(rest.last().unwrap()), "error");
        assert_eq!(rest.last().unwrap().1["error"]["kind"], "cancelled");
        assert_eq!(gate.ended(&key, &name).await, "cancelled");
        assert_eq!(gate.cancel(&key, &name).await.status, 204, "again");
        let again = Reply::to(request()).await;
        again.assert_error(499, "run_cancelled");
        assert_eq!(again.json()["error"]["retryable"], false);
    }
    assert!(mock.saw_aborts(2, AT_ONCE).await);
    assert_eq!(mock.served(), 2);
}

#[tokio::test]
async fn a_finished_run_stays_finished() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let reply = Reply::to(gate.stream(&key, "a", "tokens=3")).await;
    let id = reply.header("x-request-id");
    assert_eq!(gate.cancel(&key, id).await.status, 204);
    assert_eq!(gate.status(&key, id).await["state"], "finished");
    assert_eq!(Reply::to(gate.stream(&key, "a", "tokens=3")).await.events(), reply.events());
}

#[tokio::test]
async fn a_cancellation_that_overtakes_its_call_refuses_it() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let (key, other) = (gate.any_key().await, gate.any_key().await);
    assert_eq!(gate.cancel(&key, "key:a").await.status, 204);
    let theirs = Reply::to(gate.stream(&other, "a", "tokens=3")).await;
    assert_eq!(theirs.status, 200, "another key's: {}", theirs.body);
    Reply::to(gate.stream(&key, "a", "tokens=3")).await.assert_error(499, "run_cancelled");
    assert_eq!(mock.served(), 1);
}

#[tokio::test]
async fn a_call_is_cancelled_before_the_provider_answers() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let request = || gate.stream(&key, "a", "headers_delay=60000");
    let (reply, cancelled) = tokio::join!(Reply::to(request()), async {
        let asked = async {
            while mock.served() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(AT_ONCE, asked).await.unwrap();
        gate.cancel(&key, "key:a").await
    });
    assert_eq!(cancelled.status, 204);
    reply.assert_error(499, "run_cancelled");
    Reply::to(request()).await.assert_error(499, "run_cancelled");
    assert_eq!(mock.served(), 1);
}
