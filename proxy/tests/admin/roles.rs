//! Who may administer, and that nobody else may. A key that leaks from an agent cannot administer,
//! and an administrator's key cannot spend.

use crate::gate::{Gate, read};
use serde_json::{Value, json};
use tollgate::ingress::GUARDED_PATHS;
use tollgate_bench::{on_both_engines, private::Kind};

on_both_engines!(
    a_data_key_cannot_administer,
    an_administrators_key_cannot_call_models,
    a_revoked_administrators_key_administers_no_more,
    the_configuration_is_shown_without_secrets
);

fn admin_paths() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    GUARDED_PATHS.iter().filter(|(_, path)| path.starts_with("/api/v1/admin"))
}

async fn a_data_key_cannot_administer(kind: Kind) {
    let gate = Gate::on(kind).await;
    let key = gate.member("alice", json!({})).await;
    assert!(admin_paths().count() > 15);
    for (method, path) in admin_paths() {
        let request = gate.request(method, path).body("{}");
        let reply = read(request.bearer_auth(key["key"].as_str().unwrap())).await;
        let error = &reply.body(403)["error"];
        assert_eq!(error["permission"], "role:admin", "{method} {path}");
        let reply = read(gate.request(method, path).body("{}")).await;
        assert_eq!(reply.body(401)["error"]["code"], "missing_api_key", "{method} {path}");
    }
    // A member of an administrator's user is a member.
    let order = json!({"user": "root", "role": "member"});
    let key = gate.ask("POST", "/keys", &order).await.body(201);
    let request = gate.request("GET", "/api/v1/admin/users");
    read(request.bearer_auth(key["key"].as_str().unwrap())).await.body(403);
    let audit = gate.get("/audit").await;
    let done: Vec<_> =
        audit["audit"].as_array().unwrap().iter().map(|row| &row["action"]).collect();
    assert_eq!(done, ["key.create", "key.create", "user.create", "key.create", "user.create"]);
}

async fn an_administrators_key_cannot_call_models(kind: Kind) {
    let gate = Gate::on(kind).await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    let openai = json!({"model": "mock/mock-echo", "messages": messages, "max_tokens": 5});
    let native = json!({"model": "mock/mock-echo",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]});
    let embed = json!({"model": "mock/mock-echo", "input": ["hi"]});
    for (path, body) in [
        ("/v1/chat/completions", &openai),
        ("/v1/messages", &openai),
        ("/api/chat", &openai),
        ("/v1/responses", &json!({"model": "mock/mock-echo", "input": "hi"})),
        ("/api/v1/generate", &native),
        ("/api/v1/stream", &native),
        ("/api/v1/embed", &embed),
        ("/v1/embeddings", &embed),
        (
            "/v1beta/models/mock/mock-echo:generateContent",
            &json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        ),
    ] {
        let reply = read(gate.request("POST", path).bearer_auth(&gate.key).body(body.to_string()));
        let reply = reply.await;
        assert_eq!(reply.status, 403, "{path}: {}", reply.text);
    }
    assert_eq!(gate.mock.served(), 0);
    assert!(gate.get("/holds").await["holds"].as_array().unwrap().is_empty());
}

async fn a_revoked_administrators_key_administers_no_more(kind: Kind) {
    let gate = Gate::on(kind).await;
    let gone = gate.ask("DELETE", &format!("/keys/{}", gate.key_id), &Value::Null).await.body(200);
    assert_eq!(gone["changed"], true);
    let refused = async {
        while gate.ask("GET", "/users", &Value::Null).await.status != 401 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(1), refused).await.unwrap();
    let reply = gate.ask("POST", "/users", &json!({"name": "eve"})).await;
    assert_eq!(reply.body(401)["error"]["code"], "revoked_api_key");
}

async fn the_configuration_is_shown_without_secrets(kind: Kind) {
    let gate = Gate::on(kind).await;
    let config = gate.get("/config").await;
    assert_eq!(config["providers"][0]["name"], "mock");
    assert_eq!(config["providers"][0]["headers"]["x-planted"], "***");
    assert_eq!(config["server"]["listen"], "127.0.0.1:8787");
    assert!(!config.to_string().contains("p4ss"), "{config}");
}
