//! Limits over a socket: what is counted together, what an answer and a refusal say, and who gets
//! the place of a client that leaves.
#![cfg(test)]

mod commands;
mod gate;
mod replicas;

use gate::Gate;
use serde_json::{Value, json};
use std::sync::Arc;
use tollgate::{
    admin::{Actor, LimitPatch, Mandate, Office},
    clock::SystemClock,
    store::LimitRow,
};
use tollgate_bench::Mock;
use tollgate_types::GenerateResponse;

const ECHO: &str = "openai/mock-echo";

fn requests(number: i64) -> LimitRow {
    LimitRow { requests_per_minute: Some(number), ..LimitRow::default() }
}

fn tokens(number: i64) -> LimitRow {
    LimitRow { tokens_per_minute: Some(number), ..LimitRow::default() }
}

fn at_once(number: i64, queue_ms: i64) -> LimitRow {
    LimitRow { concurrent: Some(number), queue_ms, ..LimitRow::default() }
}

/// Every way to ask for an answer, and for vectors.
fn ways() -> Vec<(&'static str, Value)> {
    let chat = json!({"model": ECHO, "messages": [{"role": "user", "content": "a b"}]});
    let mut message = chat.clone();
    message["max_tokens"] = 9.into();
    let native = json!({"model": ECHO, "messages":
        [{"role": "user", "content": [{"type": "text", "text": "a b"}]}]});
    vec![
        ("/v1/chat/completions", chat.clone()),
        ("/v1/responses", json!({"model": ECHO, "input": "a b"})),
        ("/v1/messages", message),
        (
            "/v1beta/models/openai/mock-echo:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": "a b"}]}]}),
        ),
        ("/api/chat", chat),
        ("/api/v1/generate", native.clone()),
        ("/api/v1/stream", native),
        ("/v1/embeddings", json!({"model": ECHO, "input": "a b"})),
        ("/api/v1/embed", json!({"model": ECHO, "input": ["a b"]})),
        ("/api/embed", json!({"model": ECHO, "input": "a b"})),
        (
            "/v1beta/models/openai/mock-echo:embedContent",
            json!({"content": {"parts": [{"text": "a b"}]}}),
        ),
    ]
}

#[tokio::test]
async fn every_answer_says_how_the_caller_stands_to_its_rates() {
    let mock = Mock::start().await.unwrap();
    let gate = Gate::over(&mock).await;
    let user = gate.user("alice").await;
    let (id, key) = gate.key(&user).await;
    gate.limit(("user", &user.id), requests(1000)).await;
    gate.limit(("key", &id), LimitRow { tokens_per_minute: Some(100_000), ..requests(100) }).await;
    let mut left = 100;
    for (path, body) in ways() {
        let reply = gate.post(&key, path, &body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        left -= 1;
        assert_eq!(reply.header("x-ratelimit-limit-requests"), "100", "{path}");
        let remaining: i64 = reply.header("x-ratelimit-remaining-requests").parse().unwrap();
        assert!((left..left + 9).contains(&remaining), "{path}: {remaining} of {left}");
        assert_eq!(reply.header("x-ratelimit-limit-tokens"), "100000", "{path}");
        let remaining: u64 = reply.header("x-ratelimit-remaining-tokens").parse().unwrap();
        assert!(remaining < 100_000, "{path}: {remaining}");
        for reset in ["x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"] {
            let reset = reply.header(reset);
            assert!(reset.ends_with('s') && reset.len() > 1, "{path}: {reset}");
        }
    }
    let native = ways().into_iter().find(|(path, _)| *path == "/api/v1/generate").unwrap();
    let answer: GenerateResponse =
        serde_json::from_str(&gate.post(&key, native.0, &native.1).await.body).unwrap();
    let told = answer.receipt.unwrap().limits.unwrap();
    let (requests, tokens) = (told.requests.unwrap(), told.tokens.unwrap());
    assert_eq!((requests.limit, tokens.limit), (100, 100_000));
    assert!(requests.remaining < 100 && requests.reset_ms > 0, "{told:?}");
    assert!(told.max_output_tokens.is_none(), "{told:?}");
    let free = gate.ask(&gate.any_key().await, ECHO).await;
    assert_eq!(free.header("x-ratelimit-limit-requests"), "");
}

#[tokio::test]
async fn a_refusal_names_the_limit_and_says_when_to_come_back_in_every_format() {
    let mock = Mock::start().await.unwrap();
    let gate = Gate::over(&mock).await;
    let user = gate.user("alice").await;
    let (_, key) = gate.key(&user).await;
    let id = gate.limit(("user", &user.id), requests(2)).await;
    for _ in 0..2 {
        assert_eq!(gate.ask(&key, ECHO).await.status, 200);
    }
    for (path, body) in ways() {
        let reply = gate.post(&key, path, &body).await;
        assert_eq!(reply.status, 429, "{path}: {}", reply.body);
        let said = format!("the user {} is limited to 2 requests a minute (limit {id})", user.id);
        assert!(reply.body.contains(&said), "{path}: {}", reply.body);
        let seconds: u64 = reply.header("retry-after").parse().unwrap();
        let ms: u64 = reply.header("retry-after-ms").parse().unwrap();
        assert!((1..=30).contains(&seconds) && ms.div_ceil(1000) == seconds, "{path}: {ms} ms");
        assert_eq!(reply.header("x-should-retry"), "", "trying again helps");
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), "0", "{path}");
    }
    assert_eq!(mock.served(), 2);
}

#[tokio::test]
async fn a_request_that_no_minute_has_room_for_is_not_to_be_tried_again() {
    let mock = Mock::start().await.unwrap();
    let gate = Gate::over(&mock).await;
    gate.limit(("model", "openai/*"), tokens(30)).await;
    let key = gate.any_key().await;
    let body =
        json!({"model": ECHO, "messages": [{"role": "user", "content": "word ".repeat(99)}]});
    let reply = gate.post(&key, "/v1/chat/completions", &body).await;
    assert_eq!(reply.status, 413, "{}", reply.body);
    assert!(reply.body.contains("30 tokens a minute"), "{}", reply.body);
    assert_eq!(reply.header("x-should-retry"), "false");
    assert_eq!(reply.header("retry-after"), "");
    assert_eq!(mock.served(), 0);
    assert_eq!(gate.ask(&key, "other/mock-echo").await.status, 200, "no limit of that model");
}

#[tokio::test]
async fn what_an_answer_really_used_is_owed_before_the_next_call() {
    let mock = Mock::start().await.unwrap();
    let gate = Gate::over(&mock).await;
    let user = gate.user("alice").await;
    let (_, key) = gate.key(&user).await;
    gate.limit(("user", &user.id), tokens(300)).await;
    let (_, other) = gate.key(&user).await;
    assert_eq!(gate.ask(&key, "openai/mock-tokens=500").await.status, 200);
    // 502 tokens at 5 a second, of which 300 were there: both keys of the user wait for the rest.
    let reply = gate.ask(&other, ECHO).await;
    assert_eq!(reply.status, 429, "{}", reply.body);
    assert!(reply.body.contains("300 tokens a minute"), "{}", reply.body);
    let ms: u64 = reply.header("retry-after-ms").parse().unwrap();
    assert!((38_000..=60_000).contains(&ms), "{ms}");
    // A call that fails costs nothing: what it took is there again.
    let failing = gate.user("bob").await;
    let (_, failing_key) = gate.key(&failing).await;
    gate.limit(("user", &failing.id), tokens(60)).await;
    for _ in 0..20 {
        assert_eq!(gate.ask(&failing_key, "openai/mock-status=400").await.status, 400);
    }
}

#[tokio::test]
async fn keys_of_a_user_keys_delegated_from_a_key_and_users_of_a_model_are_counted_together() {
    let mock = Mock::start().await.unwrap();
    let gate = Gate::over(&mock).await;
    let user = gate.user("alice").await;
    let (parent, parent_key) = gate.key(&user).await;
    let (_, sibling_key) = gate.key(&user).await;
    gate.limit(("key", &parent), requests(1)).await;
    gate.limit(("user", &user.id), requests(2)).await;
    gate.limit(("model", "openai/*"), requests(3)).await;
    assert_eq!(gate.ask(&parent_key, ECHO).await.status, 200);
    let reply = gate.ask(&parent_key, ECHO).await;
    assert!(reply.status == 429 && reply.body.contains("the key"), "{}", reply.body);
    assert_eq!(gate.ask(&sibling_key, ECHO).await.status, 200);
    let reply = gate.ask(&sibling_key, ECHO).await;
    assert!(reply.status == 429 && reply.body.contains("the user"), "{}", reply.body);
    let strangers = [gate.any_key().await, gate.any_key().await];
    assert_eq!(gate.ask(&strangers[0], ECHO).await.status, 200);
    let reply = gate.ask(&strangers[1], ECHO).await;
    assert!(reply.status == 429 && reply.body.contains("the model openai/*"), "{}", reply.body);
    assert_eq!(gate.ask(&strangers[1], "other/mock-echo").await.status, 200);
}

#[tokio::test]
async fn a_delegated_key_is_counted_by_every_key_above_it() {
    let mock = Mock::start().await.unwrap();
    let gate = Gate::over(&mock).await;
    let user = gate.user("alice").await;
    let (parent, _) = gate.key(&user).await;
    let (child, child_key) = gate.delegated(&user, &parent).await;
    let (_, grandchild_key) = gate.delegated(&user, &child).await;
    gate.limit(("key", &parent), requests(2)).await;
    assert_eq!(gate.ask(&child_key, ECHO).await.status, 200);
    assert_eq!(gate.ask(&grandchild_key, ECHO).await.status, 200);
    for key in [child_key, grandchild_key] {
        let reply = gate.ask(&key, ECHO).await;
        assert_eq!(reply.status, 429, "{}", reply.body);
        assert!(reply.body.contains(&format!("the key {parent}")), "{}", reply.body);
    }
}

#[tokio::test]
async fn pains_15_the_place_of_a_client_that_leaves_is_free() {
    let mock = Mock::start().await.unwrap();
    let gate = Gate::over(&mock).await;
    let user = gate.user("alice").await;
    let (_, key) = gate.key(&user).await;
    gate.limit(("user", &user.id), at_once(1, 0)).await;
    for _ in 0..5 {
        let running = gate.stalled(&key).await;
        let reply = gate.ask(&key, ECHO).await;
        assert_eq!(reply.status, 429, "{}", reply.body);
        assert!(reply.body.contains("1 calls at once"), "{}", reply.body);
        assert_eq!(reply.header("retry-after"), "1");
        drop(running);
        // The server sees that the client is gone in its own time, but soon.
        let free = async { while gate.ask(&key, ECHO).await.status != 200 {} };
        tokio::time::timeout(std::time::Duration::from_secs(10), free).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_waits_in_the_queue_for_the_place_of_one_that_leaves() {
    let mock = Mock::start().await.unwrap();
    let gate = Gate::over(&mock).await;
    let user = gate.user("alice").await;
    let (_, key) = gate.key(&user).await;
    gate.limit(("user", &user.id), at_once(1, 30_000)).await;
    let running = gate.stalled(&key).await;
    let (reply, ()) = tokio::join!(gate.ask(&key, ECHO), async { drop(running) });
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn a_limit_that_is_made_changed_or_deleted_counts_within_a_second() {
    let mock = Mock::start().await.unwrap();
    let gate = Gate::over(&mock).await;
    let user = gate.user("alice").await;
    let (_, key) = gate.key(&user).await;
    assert_eq!(gate.ask(&key, ECHO).await.status, 200);
    let until = async |status: u16| {
        let began = std::time::Instant::now();
        while gate.ask(&key, ECHO).await.status != status {
            assert!(began.elapsed().as_secs() < 5, "not {status}");
        }
    };
    let id = gate.limit(("user", &user.id), at_once(0, 0)).await;
    until(429).await;
    let office = Office::new(gate.store.clone(), Arc::new(SystemClock));
    let operator = Mandate::of(Actor::server());
    let allow = async |number| {
        let patch = LimitPatch { concurrent: Some(Some(number)), ..LimitPatch::default() };
        office.update_limit(&operator, &id, patch).await.unwrap()
    };
    assert_eq!(allow(5).await.owner, "alice");
    until(200).await;
    allow(0).await;
    until(429).await;
    assert!(office.delete_limit(&operator, &id).await.unwrap().changed);
    assert!(!office.delete_limit(&operator, &id).await.unwrap().changed);
    until(200).await;
}
