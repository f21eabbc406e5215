//! Calls side by side on one connection.

use crate::{
    gate::{Gate, SOON},
    wire::{Wire, is_last, question, question_with, said},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Frames by the numbers of their calls.
#[derive(Default)]
struct Told(BTreeMap<u64, Vec<Value>>);

impl Told {
    /// Reads until so many calls have ended.
    async fn until_ended(&mut self, wire: &mut Wire, mut count: usize) {
        while count > 0 {
            let frame = wire.frame().await;
            count -= usize::from(is_last(&frame));
            self.0.entry(frame["call"].as_u64().unwrap()).or_default().push(frame);
        }
    }
}

#[tokio::test]
async fn a_stream_is_told_in_numbered_events_behind_a_head() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    wire.send(&question_with(7, "tokens=3", json!({"tags": {"project": "p"}}))).await;
    let frames = wire.whole(7).await;
    let head = &frames[0]["head"];
    assert_eq!(head["x-tollgate-provider"], "openai", "{head}");
    assert_eq!(head["x-tollgate-model"], "mock-tokens=3");
    assert_eq!(said(&frames), "w0 w1 w2");
    for (number, event) in frames[1..].iter().enumerate() {
        assert_eq!(event["event"], number, "{event}");
    }
    assert_eq!(frames[1]["type"], "start");
    assert_eq!(frames[1]["request_id"], head["x-request-id"]);
    let finish = frames.last().unwrap();
    assert_eq!(finish["type"], "finish");
    assert_eq!(finish["receipt"]["request_id"], head["x-request-id"]);
    assert!(finish["receipt"]["cost_nano_usd"].as_u64() > Some(0), "{finish}");
}

#[tokio::test]
async fn whole_answers_vectors_counts_and_models_are_one_response_each() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    let body = question(1, "tokens=2")["request"].clone();
    wire.send(&json!({"call": 1, "type": "generate", "request": body})).await;
    let answer = wire.whole(1).await.remove(0);
    assert_eq!(answer["response"]["content"][0]["text"].as_str().map(str::trim), Some("w0 w1"));
    assert!(answer["head"]["x-tollgate-cost-nano-usd"].as_str().is_some(), "{answer}");
    let texts = json!({"model": "openai/mock-embed", "input": ["a b", "c"]});
    wire.send(&json!({"call": 2, "type": "embed", "request": texts})).await;
    let answer = wire.whole(2).await.remove(0);
    assert_eq!(answer["response"]["vectors"].as_array().map(Vec::len), Some(2), "{answer}");
    let mut body = body;
    body["model"] = json!("anthropic/mock-echo");
    wire.send(&json!({"call": 3, "type": "count_tokens", "request": body})).await;
    let answer = wire.whole(3).await.remove(0);
    assert!(answer["response"]["input_tokens"].as_u64() > Some(0), "{answer}");
    wire.send(&json!({"call": 4, "type": "models"})).await;
    let answer = wire.whole(4).await.remove(0);
    assert!(answer["response"]["models"].is_array(), "{answer}");
}

#[tokio::test]
async fn a_hundred_calls_run_side_by_side_and_none_gets_what_is_anothers() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    for call in 0..100 {
        wire.send(&question(call, &format!("tokens={},delay=5", call % 17 + 1))).await;
    }
    let mut told = Told::default();
    told.until_ended(&mut wire, 100).await;
    for (call, frames) in told.0 {
        let words: Vec<_> = (0..call % 17 + 1).map(|word| format!("w{word}")).collect();
        assert_eq!(said(&frames), words.join(" "), "call {call}");
        let numbers = frames.iter().filter_map(|frame| frame["event"].as_u64());
        assert!(numbers.eq(0..frames.len() as u64 - 1), "call {call}");
    }
    assert_eq!(gate.mock.served(), 100);
}

#[tokio::test]
async fn who_reads_one_call_slowly_holds_up_only_that_one() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    wire.send(&question_with(1, "tokens=5000", json!({"credit": 1000}))).await;
    for call in 2..12 {
        wire.send(&question(call, "tokens=200")).await;
    }
    let mut told = Told::default();
    told.until_ended(&mut wire, 10).await;
    let size = |frames: &[Value]| -> usize {
        let events = frames.iter().filter(|frame| frame["event"].is_u64());
        events.map(|frame| frame.to_string().len()).sum()
    };
    // The credit may have been spent since; not more than it, and one event.
    while size(&told.0[&1]) < 1000 {
        let frame = wire.frame().await;
        told.0.entry(1).or_default().push(frame);
    }
    assert!(size(&told.0[&1]) < 2000, "{}", size(&told.0[&1]));
    wire.send(&question(12, "tokens=200")).await;
    assert_eq!(said(&wire.whole(12).await).split(' ').count(), 200, "the slow call says nothing");
    wire.send(&json!({"call": 1, "type": "credit", "credit": 10_000_000})).await;
    told.until_ended(&mut wire, 1).await;
    assert_eq!(said(&told.0[&1]).split(' ').count(), 5000);
}

#[tokio::test]
async fn a_cancelled_call_frees_its_upstream_and_no_other() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    wire.send(&question(1, "tokens=100000,delay=10")).await;
    wire.send(&question(2, "tokens=40,delay=10")).await;
    let first = wire.frame().await;
    assert!(first["head"].is_object(), "{first}");
    wire.send(&json!({"call": 1, "type": "cancel"})).await;
    let mut told = Told::default();
    told.until_ended(&mut wire, 1).await;
    let ended = told.0[&1].last().unwrap();
    assert_eq!(ended["error"]["kind"], "cancelled", "{ended}");
    assert!(gate.mock.saw_aborts(1, SOON).await);
    told.until_ended(&mut wire, 1).await;
    assert_eq!(said(&told.0[&2]).split(' ').count(), 40);
    // Late frames for a call that has ended are no mistake.
    wire.send(&json!({"call": 1, "type": "cancel"})).await;
    wire.send(&json!({"call": 2, "type": "credit", "credit": 5})).await;
    wire.works(3).await;
    assert_eq!(gate.mock.aborted().len(), 1);
}

#[tokio::test]
async fn a_call_ends_at_its_timeout_even_before_the_first_event() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    for (call, model) in [(1, "headers_delay=60000"), (2, "stall=2")] {
        wire.send(&question_with(call, model, json!({"timeout_ms": 300}))).await;
        let frames = wire.whole(call).await;
        let error = &frames.last().unwrap()["error"];
        assert_eq!((&error["kind"], &error["retryable"]), (&json!("timeout"), &json!(false)));
    }
    assert!(gate.mock.saw_aborts(2, SOON).await);
    wire.works(3).await;
}

#[tokio::test]
async fn one_key_is_one_call_on_this_connection_and_on_another() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    let once = json!({"idempotency_key": "k1"});
    wire.send(&question_with(1, "tokens=3", once.clone())).await;
    let first = wire.whole(1).await;
    wire.send(&question_with(2, "tokens=3", once.clone())).await;
    assert_eq!(said(&wire.whole(2).await), said(&first));
    let mut other = Wire::open(&gate).await;
    other.send(&question_with(1, "tokens=3", once.clone())).await;
    assert_eq!(said(&other.whole(1).await), said(&first));
    other.send(&question_with(2, "tokens=4", once)).await;
    assert_eq!(other.refusal(2).await["kind"], "conflict");
    assert_eq!(gate.mock.served(), 1);
}
