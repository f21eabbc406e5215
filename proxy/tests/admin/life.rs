//! What operators do in a day, over HTTP, and what is on record of it.

use crate::gate::{Gate, read};
use serde_json::{Value, json};
use tollgate_bench::{on_both_engines, private::Kind};

on_both_engines!(
    users_keys_and_budgets_live_and_die_over_http,
    a_repetition_under_an_idempotency_key_gets_the_first_answer,
    what_the_key_did_is_on_record,
    a_price_that_is_set_counts_and_is_taken_back,
    usage_of_everybody_is_shown
);

async fn users_keys_and_budgets_live_and_die_over_http(kind: Kind) {
    let gate = Gate::on(kind).await;
    let key = gate.member("alice", json!({"budgets": ["requests=1/day"]})).await;
    let (id, budget) = (key["id"].as_str().unwrap(), &key["budgets"][0]);
    assert_eq!((&budget["resource"], &budget["cap"]), (&json!("requests"), &json!(1)));
    assert_eq!(read(gate.call(&key, "echo", false)).await.status, 200);
    assert_eq!(read(gate.call(&key, "echo", false)).await.status, 402);

    // A higher cap counts at once.
    let path = format!("/budgets/{}", budget["id"].as_str().unwrap());
    gate.ask("PATCH", &path, &json!({"cap": 2})).await.body(200);
    assert_eq!(read(gate.call(&key, "echo", false)).await.status, 200);
    let standing = gate.get(&path).await;
    assert_eq!((&standing["now"]["spent"], &standing["cap"]), (&json!(2), &json!(2)));
    let listed = gate.get("/budgets?user=alice").await;
    assert_eq!(listed["budgets"], json!([standing]));

    // A new secret for the same key; the old one stops within a second.
    gate.ask("DELETE", &path, &Value::Null).await.body(200);
    let new = gate.ask("POST", &format!("/keys/{id}/rotate"), &json!({})).await.body(200);
    assert_eq!(new["id"], key["id"]);
    assert_eq!(read(gate.call(&new, "echo", false)).await.status, 200);
    let refused = async { while read(gate.call(&key, "echo", false)).await.status != 401 {} };
    tokio::time::timeout(std::time::Duration::from_secs(2), refused).await.unwrap();

    let path = format!("/keys/{id}");
    let view = gate.ask("PATCH", &path, &json!({"permissions": {"models": ["x/*"]}})).await;
    assert_eq!(view.body(200)["permissions"], json!({"models": ["x/*"]}));
    assert_eq!(gate.get("/keys?user=alice").await["keys"][0]["state"], "in force");
    let user = gate.ask("PATCH", "/users/alice", &json!({"time_zone": "Asia/Tokyo"})).await;
    assert_eq!(user.body(200)["time_zone"], "Asia/Tokyo");

    for _ in 0..2 {
        assert!(gate.ask("DELETE", &path, &Value::Null).await.body(200)["changed"].is_boolean());
    }
    assert_eq!(gate.get(&path).await["state"], "revoked");
    gate.ask("DELETE", "/users/alice", &Value::Null).await.body(200);
    assert_eq!(gate.get("/users").await["users"].as_array().unwrap().len(), 1);
    let gone = gate.ask("GET", "/users/alice", &Value::Null).await.body(404);
    assert_eq!(gone["error"]["code"], "user_not_found");
}

async fn a_repetition_under_an_idempotency_key_gets_the_first_answer(kind: Kind) {
    let gate = Gate::on(kind).await;
    let post = async |path: &str, key: &str, body: Value| {
        let request = gate.request("POST", &format!("/api/v1/admin{path}"));
        let request = request.header("idempotency-key", key).bearer_auth(&gate.key);
        read(request.body(body.to_string())).await
    };
    let first = post("/users", "a", json!({"name": "alice"})).await.body(201);
    assert_eq!(post("/users", "a", json!({"name": "alice"})).await.body(201), first);
    let other = post("/users", "a", json!({"name": "bob"})).await.body(409);
    assert_eq!(other["error"]["code"], "idempotency_key_reused");
    let made = post("/keys", "b", json!({"user": "alice"})).await.body(201);
    let again = post("/keys", "b", json!({"user": "alice"})).await.body(201);
    assert_eq!(again["id"], made["id"]);
    assert!(made["key"].is_string() && again["key"].is_null(), "{again}");
    assert!(again["hint"].as_str().unwrap().contains("rotate"));
    assert_eq!(gate.get("/keys?user=alice").await["keys"].as_array().unwrap().len(), 1);
    for wrong in ["", &"k".repeat(256)] {
        post("/users", wrong, json!({"name": "carol"})).await.body(400);
    }
    // Without a key the name is taken.
    gate.ask("POST", "/users", &json!({"name": "alice"})).await.body(409);
}

async fn what_the_key_did_is_on_record(kind: Kind) {
    let gate = Gate::on(kind).await;
    let key = gate.member("alice", json!({})).await;
    let audit = gate.get("/audit?subject=key&limit=1").await;
    let row = &audit["audit"][0];
    assert_eq!(row["actor"], format!("key:{}", gate.key_id));
    assert_eq!((&row["action"], &row["before"]), (&json!("key.create"), &Value::Null));
    assert_eq!(row["after"]["id"], key["id"]);
    let secret = key["key"].as_str().unwrap().split('_').nth(2).unwrap();
    assert!(!gate.get("/audit").await.to_string().contains(secret));
    let older = gate.get(&format!("/audit?before={}", row["seq"])).await;
    assert_eq!(older["audit"].as_array().unwrap().len(), 3);
    let verdict = gate.get("/audit/verify").await;
    assert_eq!((&verdict["rows"], &verdict["broken"]), (&json!(4), &Value::Null));
}

async fn a_price_that_is_set_counts_and_is_taken_back(kind: Kind) {
    let gate = Gate::on(kind).await;
    let price = json!({"model": "mock/dear", "input": "7", "output": "9"});
    let set = gate.ask("POST", "/prices", &json!({"prices": [price]})).await.body(201);
    assert_eq!(set["prices"][0]["state"], "in_force");
    let listed = gate.get("/prices?model=mock/dear").await;
    assert_eq!(listed["prices"].as_array().unwrap().len(), 1);
    let gone = gate.ask("DELETE", "/prices/mock/dear", &Value::Null).await.body(200);
    assert_eq!(gone["ended"], 1);
    let audit = gate.get("/audit?subject=price").await;
    let actions: Vec<_> =
        audit["audit"].as_array().unwrap().iter().map(|row| &row["action"]).collect();
    assert_eq!(actions, ["price.remove", "price.set"]);
}

async fn usage_of_everybody_is_shown(kind: Kind) {
    let gate = Gate::on(kind).await;
    for name in ["alice", "bob"] {
        let key = gate.member(name, json!({})).await;
        assert_eq!(read(gate.call(&key, "tokens=5", false)).await.status, 200);
    }
    let usage = gate.get("/usage?group_by=user").await;
    assert_eq!(usage["total"]["requests"], 2, "{usage}");
    assert_eq!(usage["groups"].as_array().unwrap().len(), 2, "{usage}");
}
