//! Who pays: defaults, chains of keys, and alerts, through real servers on both databases.
#![cfg(test)]

mod gate;
mod hostile;

use gate::{Gate, Reply, eventually, read};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tollgate_bench::{on_both_engines, private::Kind};

on_both_engines!(
    a_delegated_key_calls_is_paid_for_by_all_above_and_stops_with_them,
    a_delegated_key_is_refused_what_it_may_not,
    bad_orders_are_refused_with_their_field,
    operators_keep_organisations_teams_and_raises_over_http;
    threads: the_first_requests_of_a_new_user_do_not_pass_the_default_budget,
    an_alert_reaches_the_operators_address_once,
);

/// PAINS 1: fifty first requests at once, over two servers where there can be two.
async fn the_first_requests_of_a_new_user_do_not_pass_the_default_budget(kind: Kind) {
    let gate = Gate::start(kind).await;
    gate.budget(json!({"default": true, "resource": "requests", "window": "total", "cap": 7}))
        .await;
    gate.user(json!({"name": "newcomer"})).await;
    let (_, key) = gate.key(json!({"user": "newcomer"})).await;
    let calls = (0..50).map(|n| gate.call(n, &key));
    let replies = futures_util::future::join_all(calls).await;
    let with = |status: StatusCode| replies.iter().filter(|r| r.status == status).count();
    assert_eq!((with(StatusCode::OK), with(StatusCode::PAYMENT_REQUIRED)), (7, 43), "{replies:?}");
    assert_eq!(gate.mock.served(), 7, "what was refused never reached the upstream");
    let budgets = gate.office.budgets(Some("newcomer")).await.unwrap();
    let [budget] = budgets.as_slice() else { panic!("{budgets:?}") };
    assert_eq!((budget.now.spent, budget.now.held, budget.now.cap), (7, 0, 7));
}

fn kind_of(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), reply.body["error"]["kind"].as_str().unwrap_or_default())
}

async fn a_delegated_key_calls_is_paid_for_by_all_above_and_stops_with_them(kind: Kind) {
    let gate = Gate::start(kind).await;
    gate.user(json!({"name": "alice", "budgets": ["tokens=4_000_000/total"]})).await;
    let (parent_id, parent) =
        gate.key(json!({"user": "alice", "budgets": ["tokens=3_000_000/total"]})).await;
    let order = json!({"name": "agent", "budgets": ["tokens=2_000_000/total"]});
    let made = gate.delegate(&parent, order).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let (child_id, child) = (text(&made.body["id"]), text(&made.body["key"]));
    let below = gate.delegate(&child, json!({"budgets": ["tokens=1_000_000/total"]})).await;
    let (below_id, below) = (text(&below.body["id"]), text(&below.body["key"]));
    let reply = gate.call(1, &below).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    // Each of the four budgets of the chain was charged the same.
    let paid = reply.body["receipt"]["budgets"].as_array().unwrap();
    let spent: Vec<_> = paid.iter().map(|b| b["spent"].as_i64().unwrap()).collect();
    assert_eq!(spent.len(), 4);
    assert!(spent[0] > 5 && spent.iter().all(|s| *s == spent[0]), "{spent:?}");
    let owners: Vec<_> = paid.iter().map(|b| text(&b["owner"])).collect();
    let keys = [&parent_id, &child_id, &below_id].map(|id| format!("key:{id}"));
    assert_eq!(owners, ["user:alice", &keys[0], &keys[1], &keys[2]]);

    let listed = read(gate.request(0, Method::GET, "/api/v1/auth/delegate", &parent)).await;
    let keys = listed.body["keys"].as_array().unwrap();
    assert_eq!((keys.len(), &keys[0]["id"]), (1, &json!(child_id)));
    assert!(keys[0].get("key").is_none());
    assert_eq!(keys[0]["budgets"][0]["spent"], spent[0]);

    // A stranger's key is none of the caller's; the grandchild goes with the child, everywhere.
    let (_, stranger) = gate.key(json!({"user": "alice"})).await;
    let path = format!("/api/v1/auth/delegate/{child_id}");
    let refused = read(gate.request(0, Method::DELETE, &path, &stranger)).await;
    assert_eq!(kind_of(&refused), (404, "not_found"));
    assert_eq!(gate.call(0, &below).await.status, StatusCode::OK);
    let revoked = read(gate.request(0, Method::DELETE, &path, &parent)).await;
    assert_eq!((revoked.status, &revoked.body["revoked"]), (StatusCode::OK, &json!(child_id)));
    let since = std::time::Instant::now();
    for server in [0, 1] {
        eventually("the key below stops", async || {
            let reply = gate.call(server, &below).await;
            (reply.status == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
    }
    assert!(since.elapsed().as_millis() < 5_000, "{:?}", since.elapsed());
    assert_eq!(gate.call(0, &parent).await.status, StatusCode::OK);
}

async fn a_delegated_key_is_refused_what_it_may_not(kind: Kind) {
    let gate = Gate::start(kind).await;
    gate.user(json!({"name": "alice"})).await;
    gate.user(json!({"name": "root", "role": "admin"})).await;
    let (_, parent) = gate.key(json!({"user": "alice", "budgets": ["requests=3/total"]})).await;
    let order = json!({"permissions": {"features": ["stream"]}});
    let made = gate.delegate(&parent, order).await;
    let child = text(&made.body["key"]);
    let refused = gate.call(0, &child).await;
    assert_eq!(kind_of(&refused), (403, "permission_denied"));
    let wider = gate.delegate(&child, json!({"permissions": {"features": ["chat"]}})).await;
    assert_eq!(kind_of(&wider), (403, "permission_denied"));
    assert_eq!(wider.body["error"]["permission"], "feature:chat");
    let more = gate.delegate(&parent, json!({"budgets": ["requests=4/day"]})).await;
    assert_eq!(kind_of(&more), (402, "quota_exceeded"));
    let error = &more.body["error"];
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("not_enough_left"), &json!("budgets[0]"))
    );
    assert_eq!(error["quota"]["cap"], 3);
    let (_, admin) = gate.key(json!({"user": "root", "role": "admin"})).await;
    let refused = gate.delegate(&admin, json!({})).await;
    assert_eq!(refused.body["error"]["permission"], "role:member");
}

async fn bad_orders_are_refused_with_their_field(kind: Kind) {
    let gate = Gate::start(kind).await;
    gate.user(json!({"name": "alice"})).await;
    let (_, key) = gate.key(json!({"user": "alice"})).await;
    for (order, field) in [
        (json!({"expires_in_seconds": -1}), "expires_in_seconds"),
        (json!({"expires_in_seconds": 1e9}), "expires_in_seconds"),
        (json!({"expires_in_seconds": 86_401}), "expires_in_seconds"),
        (json!({"permissions": {"models": "local/*"}}), "permissions.models"),
        (json!({"permissions": {"features": ["chat", "fly"]}}), "permissions.features[1]"),
        (json!({"budgets": [{"resource": "cost", "window": "day", "cap": -1}]}), "budgets[0]"),
        (json!({"budgets": [{"resource": "cost", "window": "day", "cap": 1.5}]}), "budgets[0]"),
        (json!({"budgets": ["cost=1usd/fortnight"]}), "budgets[0]"),
        (json!({"name": "x".repeat(200)}), "name"),
        (json!({"parent": "somebody"}), "parent"),
    ] {
        let refused = gate.delegate(&key, order.clone()).await;
        assert_eq!(kind_of(&refused), (400, "invalid_request"), "{order}");
        let param = refused.body["error"]["param"].as_str().unwrap_or_default();
        assert!(param.starts_with(field), "{order}: {refused:?}");
    }
    for text in ["[", "[]", "null", "\"x\"", "{} {}"] {
        let request = gate.request(0, Method::POST, "/api/v1/auth/delegate", &key);
        assert_eq!(read(request.body(text)).await.status, StatusCode::BAD_REQUEST, "{text}");
    }
    let huge = " ".repeat(300 * 1024);
    let request = gate.request(0, Method::POST, "/api/v1/auth/delegate", &key);
    assert_eq!(read(request.body(huge)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let request = gate.request(0, Method::POST, "/api/v1/auth/delegate", &key);
    assert_eq!(read(request).await.status, StatusCode::CREATED, "nothing need be asked");
    // The same order under the same key is one key; another order is a conflict.
    let again = async |order: Value| {
        let request = gate.request(0, Method::POST, "/api/v1/auth/delegate", &key);
        read(request.header("idempotency-key", "one").body(order.to_string())).await
    };
    let (first, second) = (again(json!({})).await, again(json!({})).await);
    assert_eq!(first.body["id"], second.body["id"]);
    assert!(first.body["key"].is_string() && second.body.get("key").is_none());
    assert_eq!(again(json!({"name": "other"})).await.status, StatusCode::CONFLICT);
}

async fn operators_keep_organisations_teams_and_raises_over_http(kind: Kind) {
    let gate = Gate::start(kind).await;
    gate.user(json!({"name": "root", "role": "admin"})).await;
    gate.user(json!({"name": "alice"})).await;
    let (_, admin) = gate.key(json!({"user": "root", "role": "admin"})).await;
    let (_, member) = gate.key(json!({"user": "alice"})).await;
    let ask = async |method: Method, path: &str, body: Value| {
        let request = gate.request(1, method, &format!("/api/v1/admin{path}"), &admin);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = read(request.body(body)).await;
        (reply.status.as_u16(), reply.body)
    };
    let (post, get, patch, delete) = (Method::POST, Method::GET, Method::PATCH, Method::DELETE);
    let none = Value::Null;
    assert_eq!(ask(post.clone(), "/organisations", json!({"name": "acme"})).await.0, 201);
    let red = json!({"name": "red", "organisation": "acme", "time_zone": "Asia/Tokyo"});
    let (status, team) = ask(post.clone(), "/teams", red).await;
    assert_eq!((status, &team["time_zone"]), (201, &json!("Asia/Tokyo")));
    assert_eq!(ask(patch.clone(), "/users/alice", json!({"team": "red"})).await.0, 200);
    let order = json!({"team": "red", "resource": "requests", "window": "day", "cap": 1,
                       "feature": "chat", "alert_percent": 50});
    let (status, budget) = ask(post.clone(), "/budgets", order).await;
    assert_eq!((status, &budget["feature"]), (201, &json!("chat")));
    assert_eq!(gate.call(0, &member).await.status, StatusCode::OK);
    let refused = gate.call(0, &member).await;
    assert_eq!(refused.body["error"]["quota"]["owner"], "team:red");
    let path = format!("/budgets/{}/raise", text(&budget["id"]));
    assert_eq!(ask(post.clone(), &path, json!({"by": 1, "until": "1h"})).await.0, 200);
    assert_eq!(gate.call(0, &member).await.status, StatusCode::OK);
    assert_eq!(ask(delete.clone(), &path, none.clone()).await.1["raise_amount"], 0);
    assert_eq!(gate.call(0, &member).await.status, StatusCode::PAYMENT_REQUIRED);
    let (_, alerts) = ask(get.clone(), "/alerts?limit=5", none.clone()).await;
    assert_eq!(alerts["alerts"][0]["owner"], "team:red");
    assert_eq!(ask(get.clone(), "/teams", none.clone()).await.1["teams"][0]["users"], 1);
    assert_eq!(ask(get, "/organisations/acme", none.clone()).await.1["teams"], 1);
    for (path, status) in [("/teams/red", 409), ("/organisations/acme", 409), ("/teams/blue", 404)]
    {
        assert_eq!(ask(delete.clone(), path, none.clone()).await.0, status, "{path}");
    }
    for (path, wrong) in [
        ("/teams", json!({"name": 5})),
        ("/teams", json!({"name": "a", "users": []})),
        ("/organisations", json!({"name": "a", "time_zone": "Mars/Olympus"})),
        (
            "/budgets",
            json!({"team": "red", "user": "alice", "resource": "cost", "window": "day", "cap": 1}),
        ),
    ] {
        assert_eq!(ask(post.clone(), path, wrong.clone()).await.0, 400, "{path} {wrong}");
    }
    let request = gate.request(0, post, "/api/v1/admin/teams", &member);
    let refused = read(request.body(json!({"name": "mine"}).to_string())).await;
    assert_eq!(refused.body["error"]["permission"], "role:admin");
}

async fn an_alert_reaches_the_operators_address_once(kind: Kind) {
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let url = receiver(Arc::clone(&seen)).await;
    let more = format!("[alerts]\nwebhook = \"{url}\"\nwebhook_secret_env = \"HOOK_SECRET\"\n");
    let gate = Gate::with(kind, &more).await;
    gate.user(json!({"name": "alice", "budgets": [
        {"resource": "requests", "window": "total", "cap": 2, "soft": true}]}))
        .await;
    let (_, key) = gate.key(json!({"user": "alice"})).await;
    let calls = (0..6).map(|n| gate.call(n, &key));
    let replies = futures_util::future::join_all(calls).await;
    assert!(replies.iter().all(|r| r.status == StatusCode::OK), "a soft budget refuses nothing");
    eventually("the alert is told", async || {
        let alerts = gate.store.alerts(9).await.unwrap();
        assert_eq!(alerts.len(), 1);
        alerts[0].delivered_ms
    })
    .await;
    let seen = seen.lock().unwrap();
    let [alert] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!((&alert["type"], &alert["owner"]), (&json!("budget_alert"), &json!("user:alice")));
}

/// An address that remembers what it is sent.
#[expect(clippy::disallowed_methods, reason = "the receiver's task is no server's")]
async fn receiver(seen: Arc<Mutex<Vec<Value>>>) -> String {
    let take = move |headers: axum::http::HeaderMap, body: String| async move {
        assert!(headers.contains_key("x-tollgate-signature"));
        seen.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/hook", axum::routing::post(take));
    tokio::spawn(async move { drop(axum::serve(listener, router).await) });
    url
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
