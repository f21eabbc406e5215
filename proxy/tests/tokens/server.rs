//! What the server gives for a key, and what it takes in the key's place.

use crate::gate::{server, servers};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tollgate::{
    access::Role,
    clock::{Clock, SystemClock},
};
use tollgate_bench::{on_both_engines, private::Kind};
use tollgate_types::wire::path;

on_both_engines!(servers_take_each_others_tokens_and_notice_a_revocation_within_a_second);

const CHAT: &str = "/v1/chat/completions";

fn chat() -> String {
    let messages = json!([{"role": "user", "content": "a b"}]);
    json!({"model": "mock/mock-echo", "messages": messages}).to_string()
}

#[tokio::test]
async fn a_key_is_exchanged_for_a_token_that_works_in_its_place() {
    let (_home, gate) = server("").await;
    let key = gate.key().await;
    let before = SystemClock.now_ms() / 1000;
    let reply = gate.post(&key.text, path::TOKEN, "").await;
    let grant = reply.body(200);
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert_eq!((&grant["token_type"], &grant["expires_in"]), (&json!("Bearer"), &json!(900)));
    let ends = grant["expires_at"].as_i64().unwrap();
    assert!((before + 900..=before + 920).contains(&ends), "{grant}");
    let token = grant["token"].as_str().unwrap();
    for header in ["x-api-key", "api-key", "x-goog-api-key"] {
        let request = gate.client.post(format!("{}{CHAT}", gate.url)).header(header, token);
        assert_eq!(gate.send(request.body(chat())).await.status, 200, "{header}");
    }
    assert_eq!(gate.post(token, CHAT, chat()).await.status, 200);
    // What was used is the key's.
    let usage = gate.get(&key.text, &format!("{}?key={}", path::USAGE, key.id)).await.body(200);
    assert_eq!(usage["total"]["requests"], 4, "{usage}");
    let brief = gate.post(&key.text, path::TOKEN, r#"{"ttl_seconds": 7}"#).await.body(200);
    assert_eq!(brief["expires_in"], 7);
    for body in ["{}", " \n {} ", r#"{"ttl_seconds": null}"#] {
        assert_eq!(gate.post(&key.text, path::TOKEN, body).await.status, 200, "{body}");
    }
}

#[tokio::test]
async fn an_administrators_token_is_the_administrators_key() {
    let (_home, gate) = server("").await;
    let admin = gate.key_of(Role::Admin).await;
    let token = gate.token(&admin).await;
    assert_eq!(gate.get(&token, "/api/v1/admin/users").await.status, 200);
    assert_eq!(gate.post(&token, CHAT, chat()).await.status, 403);
    let member = gate.token(&gate.key().await).await;
    assert_eq!(gate.get(&member, "/api/v1/admin/users").await.status, 403);
}

#[tokio::test]
async fn a_bad_request_for_a_token_is_refused_and_says_why() {
    let (_home, gate) = server("").await;
    let key = gate.key().await;
    for (body, param) in [
        (r#"{"ttl_seconds": 0}"#, "ttl_seconds"),
        (r#"{"ttl_seconds": 901}"#, "ttl_seconds"),
        (r#"{"ttl_seconds": -1}"#, "ttl_seconds"),
        (r#"{"ttl_seconds": 1.5}"#, "ttl_seconds"),
        (r#"{"ttl_seconds": "60"}"#, "ttl_seconds"),
        (r#"{"ttl_seconds": 99999999999999999999}"#, "ttl_seconds"),
        (r#"{"ttl": 60}"#, "ttl"),
    ] {
        gate.post(&key.text, path::TOKEN, body).await.assert_error(400, param);
    }
    for body in ["[]", "null", "{", "x", "{}{}"] {
        let refused = gate.post(&key.text, path::TOKEN, body).await.body(400);
        assert_eq!(refused["error"]["kind"], "invalid_request", "{body}: {refused}");
    }
    let long = format!("{{{}}}", " ".repeat(5_000));
    assert_eq!(gate.post(&key.text, path::TOKEN, long).await.status, 413);
    gate.post("tg_a_b_00000000", path::TOKEN, "").await.assert_error(401, "invalid_api_key");
    assert_eq!(gate.get(&key.text, path::TOKEN).await.status, 405);
}

#[tokio::test]
async fn a_token_gives_no_token_and_no_key_that_lives_longer() {
    let (_home, gate) = server("lifetime_seconds = 60").await;
    let key = gate.key().await;
    let token = gate.token(&key).await;
    let refused = gate.post(&token, path::TOKEN, "").await;
    refused.assert_error(403, "token_not_exchangeable");
    let made = gate.post(&token, path::DELEGATE, r#"{"expires_in_seconds": 3600}"#).await;
    let lives = made.body(201)["expires_ms"].as_i64().unwrap() - SystemClock.now_ms();
    assert!((1..=60_000).contains(&lives), "{lives}");
    let made = gate.post(&key.text, path::DELEGATE, r#"{"expires_in_seconds": 3600}"#).await;
    let lives = made.body(201)["expires_ms"].as_i64().unwrap() - SystemClock.now_ms();
    assert!(lives > 3_500_000, "{lives}");
}

#[tokio::test]
async fn a_hostile_token_is_a_401_with_its_code() {
    let (_home, gate) = server("leeway_seconds = 0").await;
    let key = gate.key().await;
    let token = gate.token(&key).await;
    let (head, signature) = token.rsplit_once('.').unwrap();
    for wrong in [
        "..".to_owned(),
        format!("{head}."),
        format!("{head}.{}", "A".repeat(86)),
        format!("{head}.{}", "A".repeat(9_000)),
        format!("eyJhbGciOiJub25lIn0.{}.", head.split_once('.').unwrap().1),
        format!("{}.{signature}", head.to_uppercase()),
    ] {
        gate.get(&wrong, path::BUDGETS).await.assert_error(401, "invalid_token");
    }
    assert_eq!(gate.get(&token, path::BUDGETS).await.status, 200);
    let brief = gate.post(&key.text, path::TOKEN, r#"{"ttl_seconds": 1}"#).await.body(200);
    gate.refused(brief["token"].as_str().unwrap(), "token_expired").await;
    gate.end_tokens().await;
    gate.get(&token, path::BUDGETS).await.assert_error(401, "token_expired");
}

#[tokio::test]
async fn a_server_without_tokens_says_so() {
    let (_home, gate) = server("enabled = false").await;
    let key = gate.key().await;
    gate.post(&key.text, path::TOKEN, "").await.assert_error(404, "tokens_disabled");
    assert_eq!(gate.get(&key.text, path::BUDGETS).await.status, 200);
}

async fn servers_take_each_others_tokens_and_notice_a_revocation_within_a_second(kind: Kind) {
    // A file is for one server, which is restarted instead.
    let (_home, gates) = match kind {
        Kind::Postgres => {
            let (home, gates) = servers::<2>(kind, "").await;
            (home, Vec::from(gates))
        }
        Kind::Sqlite => {
            let (home, gates) = servers::<1>(kind, "").await;
            (home, Vec::from(gates))
        }
    };
    let key = gates[0].key().await;
    let mut tokens = Vec::new();
    for gate in &gates {
        tokens.push(gate.token(&key).await);
    }
    for gate in &gates {
        for token in &tokens {
            assert_eq!(gate.get(token, path::BUDGETS).await.status, 200);
        }
    }
    assert!(gates[0].store.revoke_key(&key.id, SystemClock.now_ms()).await.unwrap());
    let revoked = Instant::now();
    for gate in &gates {
        for token in &tokens {
            gate.refused(token, "revoked_api_key").await;
        }
    }
    assert!(revoked.elapsed() < Duration::from_millis(1500), "{:?}", revoked.elapsed());
    let refused: Value = gates[0].post(&key.text, path::TOKEN, "").await.body(401);
    assert_eq!(refused["error"]["code"], "revoked_api_key");
}
