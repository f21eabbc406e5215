//! What makes no sense is refused with the field that has it, and changes nothing.

use crate::gate::{Gate, read};
use serde_json::{Value, json};
use tollgate_bench::{on_both_engines, private::Kind};

on_both_engines!(bad_orders_are_refused_by_field, hostile_bodies_and_paths_change_nothing);

/// Method, path below `/api/v1/admin`, body, status, and the field that is blamed.
fn cases(key: &str, budget: &str) -> Vec<(&'static str, String, Value, u16, &'static str)> {
    let text = str::to_owned;
    let (one_key, one_budget) = (format!("/keys/{key}"), format!("/budgets/{budget}"));
    let owned =
        |cap: Value| json!({"user": "alice", "resource": "cost", "window": "hour", "cap": cap});
    vec![
        ("POST", text("/users"), json!({}), 400, ""),
        ("POST", text("/users"), json!([]), 400, ""),
        ("POST", text("/users"), json!({"name": 5}), 400, "name"),
        ("POST", text("/users"), json!({"name": ""}), 400, "name"),
        ("POST", text("/users"), json!({"name": "a\u{0}b"}), 400, "name"),
        ("POST", text("/users"), json!({"name": "b", "role": "root"}), 400, "role"),
        ("POST", text("/users"), json!({"name": "b", "time_zone": "Mars"}), 400, "time_zone"),
        ("POST", text("/users"), json!({"name": "b", "colour": "red"}), 400, "colour"),
        (
            "POST",
            text("/users"),
            json!({"name": "b", "permissions": {"models": "all"}}),
            400,
            "permissions.models",
        ),
        (
            "POST",
            text("/users"),
            json!({"name": "b", "permissions": {"features": ["fly"]}}),
            400,
            "permissions.features[0]",
        ),
        (
            "POST",
            text("/users"),
            json!({"name": "b", "budgets": ["cost=-5usd/day"]}),
            400,
            "budgets[0]",
        ),
        (
            "POST",
            text("/users"),
            json!({"name": "b", "budgets": [{"resource": "cost",
            "window": "day", "cap": 1.5}]}),
            400,
            "budgets[0].cap",
        ),
        ("POST", text("/users"), json!({"name": "alice"}), 409, ""),
        ("PATCH", text("/users/alice"), json!({}), 400, ""),
        ("PATCH", text("/users/alice"), json!({"id": "x"}), 400, "id"),
        ("PATCH", text("/users/nobody"), json!({"role": "member"}), 404, ""),
        ("DELETE", text("/users/nobody"), Value::Null, 404, ""),
        ("POST", text("/keys"), json!({"user": "nobody"}), 404, ""),
        ("POST", text("/keys"), json!({"user": "alice", "role": "admin"}), 400, "role"),
        (
            "POST",
            text("/keys"),
            json!({"user": "alice", "rate_per_minute": -1}),
            400,
            "rate_per_minute",
        ),
        ("POST", text("/keys"), json!({"user": "alice", "expires": "yesterday"}), 400, "expires"),
        ("POST", text("/keys"), json!({"user": "alice", "secret": "mine"}), 400, "secret"),
        ("PATCH", one_key.clone(), json!({"user": "bob"}), 400, "user"),
        ("PATCH", one_key.clone(), json!({"rate_per_minute": 0}), 400, "rate_per_minute"),
        ("POST", format!("{one_key}/rotate"), json!({"overlap": "1 year"}), 400, "overlap"),
        ("POST", text("/keys/nothing/rotate"), json!({}), 404, ""),
        (
            "POST",
            text("/budgets"),
            json!({"resource": "cost", "window": "day", "cap": 1}),
            400,
            "user",
        ),
        ("POST", text("/budgets"), owned(json!(-1)), 400, "cap"),
        ("POST", text("/budgets"), owned(json!(0.1)), 400, "cap"),
        ("POST", text("/budgets"), owned(json!("1e9usd")), 400, "cap"),
        ("POST", text("/budgets"), owned(json!(i64::MAX)), 400, "cap"),
        (
            "POST",
            text("/budgets"),
            json!({"user": "alice", "resource": "tokens",
            "window": "total", "cap": 5}),
            409,
            "",
        ),
        (
            "POST",
            text("/budgets"),
            json!({"user": "alice", "resource": "gold", "window": "day",
            "cap": 1}),
            400,
            "resource",
        ),
        ("PATCH", one_budget.clone(), json!({"cap": "-1"}), 400, "cap"),
        ("PATCH", one_budget.clone(), json!({"alert_percent": 0}), 400, "alert_percent"),
        ("PATCH", one_budget, json!({"resource": "cost"}), 400, "resource"),
        ("GET", text("/audit?since=soon"), Value::Null, 400, "since"),
        ("GET", text("/audit?limit=-1"), Value::Null, 400, ""),
        ("GET", text("/holds?limit=many"), Value::Null, 400, ""),
        ("GET", text("/keys?owner=alice"), Value::Null, 400, ""),
        ("GET", text("/users/%ff"), Value::Null, 400, "path"),
        ("POST", text("/prices"), json!({"prices": []}), 400, "prices"),
        (
            "POST",
            text("/prices"),
            json!({"prices": [{"model": "a/b", "input": "-1",
            "output": "1"}]}),
            400,
            "prices",
        ),
        (
            "POST",
            text("/prices"),
            json!({"prices": [{"model": "a/b", "inptu": "1"}]}),
            400,
            "prices[0].inptu",
        ),
        ("DELETE", text("/prices/a/b"), Value::Null, 404, ""),
        ("GET", text("/nothing"), Value::Null, 404, "path"),
        ("PUT", text("/users"), json!({}), 405, "method"),
    ]
}

async fn bad_orders_are_refused_by_field(kind: Kind) {
    let gate = Gate::on(kind).await;
    let key = gate.member("alice", json!({})).await;
    let order = json!({"user": "alice", "resource": "tokens", "window": "total", "cap": 5});
    let budget = gate.ask("POST", "/budgets", &order).await.body(201);
    let before = gate.get("/audit").await;
    let ids = (key["id"].as_str().unwrap(), budget["id"].as_str().unwrap());
    let mut wrong = Vec::new();
    for (method, path, body, status, field) in cases(ids.0, ids.1) {
        let reply = gate.ask(method, &path, &body).await;
        let error: Value = serde_json::from_str(&reply.text).unwrap_or_default();
        let blamed = error["error"]["param"].as_str().unwrap_or_default();
        let said = error["error"]["message"].as_str().unwrap_or_default();
        if reply.status != status || blamed != field || said.is_empty() {
            wrong.push(format!("{method} {path} {body}: {} {}", reply.status, reply.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(gate.get("/audit").await, before, "something was changed");
}

async fn hostile_bodies_and_paths_change_nothing(kind: Kind) {
    let gate = Gate::on(kind).await;
    let before = gate.get("/audit").await;
    let huge = format!("{{\"name\": \"{}\"}}", "n".repeat(2 * 1024 * 1024));
    let deep = format!("{{\"name\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("{\"name\": \"alice\"", 400),
        ("{\"name\": \"alice\"} and more", 400),
        ("{\"name\": \"alice\", \"name\": \"bob\"}", 400),
        ("name=alice", 400),
        ("\u{0}", 400),
        (deep.as_str(), 400),
        (huge.as_str(), 413),
    ] {
        let request = gate.request("POST", "/api/v1/admin/users").bearer_auth(&gate.key);
        let reply = read(request.body(body.to_owned())).await;
        let shown: String = body.chars().take(40).collect();
        assert_eq!(reply.status, status, "{shown}: {}", reply.text);
    }
    let request = gate.request("POST", "/api/v1/admin/users").bearer_auth(&gate.key);
    let reply = read(request.body(b"{\"name\": \"\xff\"}".to_vec())).await;
    assert_eq!(reply.status, 400, "{}", reply.text);
    for (method, path, status) in [
        ("DELETE", "/users/'%20or%201=1%20--", 404),
        ("DELETE", "/users/..%2f..%2fetc", 404),
        ("DELETE", "/keys/%25", 404),
        ("DELETE", "/users/%00", 400),
        ("GET", "/keys?user=a%00", 400),
        ("GET", "/audit?subject=%00", 400),
        ("POST", "/keys", 400),
    ] {
        let reply = gate.ask(method, path, &json!({"user": "a\u{0}"})).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text);
    }
    assert_eq!(gate.get("/audit").await, before, "something was changed");
}
