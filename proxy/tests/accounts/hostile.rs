//! What a member sends to do harm: labels that no index takes, and the character NUL.

use crate::gate::{Gate, eventually, read};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;
use tollgate_bench::{on_both_engines, private::Kind};

on_both_engines!(
    a_label_that_no_index_takes_keeps_no_call_from_ending,
    the_character_nul_is_the_callers_mistake,
);

/// Letters that no compression makes shorter.
fn noise(length: usize) -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from_digit(u32::try_from(state % 36).unwrap(), 36).unwrap()
    };
    (0..length).map(|_| letter()).collect()
}

/// PostgreSQL has no index over more than 2704 bytes: the end of such a call could never be written.
async fn a_label_that_no_index_takes_keeps_no_call_from_ending(kind: Kind) {
    let gate = Gate::start(kind).await;
    gate.user(json!({"name": "alice", "budgets": ["requests=5/total"]})).await;
    let (_, key) = gate.key(json!({"user": "alice"})).await;
    let body = json!({
        "model": "mock/mock-tokens=5",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "go"}]}],
    });
    let call = |name: String, value: String| {
        gate.request(0, Method::POST, "/api/v1/generate", &key)
            .timeout(Duration::from_secs(20))
            .header(format!("x-tollgate-tag-{name}"), value)
            .body(body.to_string())
    };
    let refused = read(call(noise(6_000), "x".to_owned())).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
    let refused = read(call(String::new(), "x".to_owned())).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
    // The longest that is taken, with the longest name of a model.
    let longest = read(call(noise(64), noise(256))).await;
    assert_eq!(longest.status, StatusCode::OK, "{longest:?}");
    eventually("every call has ended", async || {
        let budgets = gate.office.budgets(Some("alice")).await.unwrap();
        ((budgets[0].now.spent, budgets[0].now.held) == (1, 0)).then_some(())
    })
    .await;
}

async fn the_character_nul_is_the_callers_mistake(kind: Kind) {
    let gate = Gate::start(kind).await;
    gate.user(json!({"name": "alice"})).await;
    let (_, key) = gate.key(json!({"user": "alice"})).await;
    for (method, path) in [
        (Method::DELETE, "/api/v1/auth/delegate/%00"),
        (Method::GET, "/api/v1/usage?model=%00"),
        (Method::GET, "/api/v1/usage?tag=a%3D%00"),
        (Method::GET, "/api/v1/usage?key=a%00"),
        (Method::GET, "/api/v1/usage?provider=%00"),
        (Method::GET, "/api/v1/usage/export?model=%00"),
    ] {
        let reply = read(gate.request(0, method, path, &key)).await;
        assert!(reply.status.is_client_error(), "{path}: {reply:?}");
    }
}
