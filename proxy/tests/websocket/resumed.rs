//! Calls that outlive their connection.

use crate::{
    gate::{Gate, SOON},
    relay::Relay,
    wire::{Wire, is_last, question_with, said},
};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate::store::UsageFilter;
use tollgate_client::{RemoteProvider, RetryPolicy, TransportKind};
use tollgate_types::{CallOptions, GenerateRequest, Message, Provider, StreamEvent};

fn remote(relay: &Relay, gate: &Gate) -> RemoteProvider {
    let retry = RetryPolicy {
        max_retries: 20,
        initial_wait: Duration::from_millis(5),
        max_wait: Duration::from_millis(50),
        ..RetryPolicy::default()
    };
    RemoteProvider::builder()
        .server(format!("http://{}", relay.addr))
        .api_key(&gate.key)
        .retry(retry)
        .resumable(true)
        .transport(TransportKind::WebSocket)
        .build()
        .unwrap()
}

fn asked(model: &str) -> GenerateRequest {
    GenerateRequest::new(format!("openai/mock-{model}"), vec![Message::user("one two")])
}

fn words(count: usize) -> String {
    (0..count).map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ")
}

/// Usage rows, once there is one for each of so many calls.
async fn rows(gate: &Gate, count: usize) -> usize {
    let started = std::time::Instant::now();
    loop {
        let rows = gate.store.usage_rows(&UsageFilter::default(), 100).await.unwrap().len();
        if rows >= count || started.elapsed() > SOON {
            return rows;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_whose_connection_is_cut_again_and_again_loses_no_event_and_repeats_none() {
    let gate = Gate::start().await;
    let relay = Relay::to(gate.addr).await;
    let provider = remote(&relay, &gate);
    let mut bystander = provider.stream(asked("tokens=60,delay=10")).await.unwrap();
    let mut events = provider.stream(asked("tokens=60,delay=10")).await.unwrap();
    let (mut text, mut deltas) = (String::new(), 0);
    while let Some(event) = tokio::time::timeout(SOON, events.next()).await.unwrap() {
        if let StreamEvent::PartDelta { delta, .. } = event.unwrap() {
            text.push_str(&delta);
            deltas += 1;
            if deltas % 12 == 0 {
                relay.cut();
            }
        }
    }
    assert_eq!(text.trim(), words(60));
    assert!(relay.connections() >= 4, "{}", relay.connections());
    let mut other = String::new();
    while let Some(event) = tokio::time::timeout(SOON, bystander.next()).await.unwrap() {
        if let StreamEvent::PartDelta { delta, .. } = event.unwrap() {
            other.push_str(&delta);
        }
    }
    assert_eq!(other.trim(), words(60));
    assert_eq!((gate.mock.served(), gate.mock.aborted().len()), (2, 0));
    assert_eq!(rows(&gate, 2).await, 2);
}

#[tokio::test]
async fn a_whole_answer_whose_connection_is_cut_is_fetched_by_the_retry() {
    let gate = Gate::start().await;
    let relay = Relay::to(gate.addr).await;
    let provider = remote(&relay, &gate);
    let cut = async {
        while gate.mock.served() == 0 {
            tokio::task::yield_now().await;
        }
        relay.cut();
    };
    let (answer, ()) = tokio::join!(provider.generate(asked("tokens=20,delay=20")), cut);
    assert_eq!(answer.unwrap().text().trim(), words(20));
    assert_eq!((gate.mock.served(), relay.connections()), (1, 2));
    assert_eq!(rows(&gate, 1).await, 1);
}

#[tokio::test]
async fn dropping_a_resumable_call_cancels_it_at_once() {
    let gate = Gate::start().await;
    let relay = Relay::to(gate.addr).await;
    let provider = remote(&relay, &gate);
    let mut events = provider.stream(asked("tokens=100000,delay=10")).await.unwrap();
    tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap().unwrap();
    drop(events);
    // Long before the grace of a run that nobody reads is over.
    assert!(gate.mock.saw_aborts(1, Duration::from_secs(15)).await);
    let mut once = asked("headers_delay=60000");
    once.options = CallOptions::default().idempotency_key("drop-me");
    let served = async {
        while gate.mock.served() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = provider.generate(once) => panic!("no answer was to come: {answer:?}"),
        () = served => {}
    }
    assert!(gate.mock.saw_aborts(2, Duration::from_secs(15)).await);
}

/// Begins a resumable call and reads it until so many events have come.
async fn begin(wire: &mut Wire, call: u64, model: &str, more: Value, events: u64) -> Vec<Value> {
    let mut frame = question_with(call, model, more);
    frame["resumable"] = json!(true);
    wire.send(&frame).await;
    let mut frames = Vec::new();
    while frames.last().and_then(|frame: &Value| frame["event"].as_u64()) != Some(events) {
        frames.push(wire.frame().await);
    }
    frames
}

#[tokio::test]
async fn a_run_is_joined_on_another_connection_behind_any_event() {
    let gate = Gate::start().await;
    let mut first = Wire::open(&gate).await;
    let begun = begin(&mut first, 1, "tokens=40,delay=10", json!({}), 5).await;
    let run = begun[0]["head"]["x-request-id"].clone();
    drop(first);
    let mut second = Wire::open(&gate).await;
    second.send(&json!({"call": 1, "type": "resume", "run": run, "after": 5})).await;
    let rest = second.whole(1).await;
    assert_eq!(rest[0]["head"]["x-request-id"], run);
    assert_eq!(rest[1]["event"], 6);
    let all: Vec<_> = begun.into_iter().chain(rest).collect();
    assert_eq!(said(&all), words(40));
    // It has ended, and is told once more from its beginning.
    second.send(&json!({"call": 2, "type": "resume", "run": run, "credit": 1 << 20})).await;
    let again = second.whole(2).await;
    assert_eq!((said(&again), &again[1]["event"]), (words(40), &json!(0)));
    second.send(&json!({"call": 3, "type": "resume", "run": "01jnobody"})).await;
    assert_eq!(second.refusal(3).await["kind"], "not_found");
    assert_eq!(gate.mock.served(), 1);
}

#[tokio::test]
async fn leaving_a_resumable_call_keeps_its_run_and_cancelling_it_ends_it() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    let begun = begin(&mut wire, 1, "tokens=40,delay=10", json!({}), 3).await;
    let run = begun[0]["head"]["x-request-id"].clone();
    wire.send(&json!({"call": 1, "type": "leave"})).await;
    while !is_last(&wire.frame().await) {}
    wire.send(&json!({"call": 2, "type": "resume", "run": run})).await;
    assert_eq!(said(&wire.whole(2).await), words(40));
    assert_eq!(gate.mock.aborted().len(), 0);
    // By the call itself, by the run's id and by its key.
    begin(&mut wire, 3, "tokens=100000,delay=10", json!({}), 3).await;
    wire.send(&json!({"call": 3, "type": "cancel"})).await;
    while !is_last(&wire.frame().await) {}
    assert!(gate.mock.saw_aborts(1, SOON).await);
    let begun = begin(&mut wire, 4, "tokens=100000,delay=10", json!({}), 3).await;
    cancel(&mut wire, 5, &begun[0]["head"]["x-request-id"]).await;
    assert!(gate.mock.saw_aborts(2, SOON).await);
    begin(&mut wire, 6, "tokens=100000,delay=10", json!({"idempotency_key": "k"}), 3).await;
    cancel(&mut wire, 7, &json!("key:k")).await;
    assert!(gate.mock.saw_aborts(3, SOON).await);
    assert_eq!(rows(&gate, 4).await, 4);
}

/// Cancels a run by its name, and reads the ends of both calls.
async fn cancel(wire: &mut Wire, call: u64, run: &Value) {
    wire.send(&json!({"call": call, "type": "cancel", "run": run})).await;
    let mut ended = 0;
    while ended < 2 {
        let frame = wire.frame().await;
        if is_last(&frame) {
            ended += 1;
            match frame["call"] == call {
                true => assert_eq!(&frame["response"]["cancelled"], run),
                false => assert_eq!(frame["error"]["kind"], "cancelled", "{frame}"),
            }
        }
    }
}

#[tokio::test]
async fn a_run_that_nobody_joins_again_ends_with_its_grace() {
    let gate = Gate::with("[runs]\ngrace_seconds = 1\n", &[]).await;
    let mut wire = Wire::open(&gate).await;
    begin(&mut wire, 1, "tokens=100000,delay=10", json!({}), 3).await;
    drop(wire);
    assert!(gate.mock.saw_aborts(1, SOON).await);
    assert_eq!(rows(&gate, 1).await, 1);
}
