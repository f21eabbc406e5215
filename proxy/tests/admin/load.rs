//! Users and budgets that go while calls run: every call is settled, and nothing is lost.

use crate::gate::{Gate, SOON, read};
use futures_util::{StreamExt, future::join_all};
use serde_json::{Value, json};
use tollgate_bench::{on_both_engines, private::Kind};

on_both_engines!(
    open_holds_are_shown_with_what_they_set_aside,
    a_user_deleted_with_open_holds_is_still_charged,
    a_budget_deleted_under_load_loses_nothing
);

const BUDGETS: [&str; 3] = ["tokens=1000000/total", "cost=100usd/total", "requests=1000/total"];

impl Gate {
    /// What a budget has spent and held over all time, deleted or not.
    async fn counters(&self, budget: &Value) -> (i64, i64) {
        let counters = self.store.counters(budget["id"].as_str().unwrap(), 0).await.unwrap();
        (counters.spent, counters.held)
    }

    /// The budgets of a key stand where the entries say.
    async fn assert_charged(&self, key: &Value, requests: i64) {
        self.nothing_held().await;
        let usage = self.get("/usage?rows=1000").await;
        assert_eq!(usage["total"]["requests"], requests, "{usage}");
        let rows = usage["rows"].as_array().unwrap();
        let sum = |of: &dyn Fn(&Value) -> i64| rows.iter().map(of).sum::<i64>();
        let tokens = sum(&|row| {
            ["input", "output"].iter().map(|kind| row["usage"][*kind].as_i64().unwrap()).sum()
        });
        let cost = sum(&|row| row["cost_nano_usd"].as_i64().unwrap());
        let budgets = key["budgets"].as_array().unwrap();
        for (budget, spent) in budgets.iter().zip([tokens, cost, requests]) {
            assert_eq!(self.counters(budget).await, (spent, 0), "{}", budget["resource"]);
        }
    }
}

async fn open_holds_are_shown_with_what_they_set_aside(kind: Kind) {
    let gate = Gate::on(kind).await;
    let key = gate.member("alice", json!({"budgets": BUDGETS})).await;
    let mut stream = gate.call(&key, "tokens=5,stall=2", true).send().await.unwrap().bytes_stream();
    stream.next().await.unwrap().unwrap();
    let holds = gate.get("/holds").await;
    let [hold] = holds["holds"].as_array().unwrap().as_slice() else { panic!("{holds}") };
    assert_eq!((&hold["user"], &hold["key_id"]), (&json!("alice"), &key["id"]));
    assert_eq!(hold["asked_model"], "mock/mock-tokens=5,stall=2");
    assert!(hold["age_ms"].as_i64().unwrap() >= 0 && hold["node"].is_string(), "{hold}");
    assert_eq!(hold["node_expires_ms"].is_i64(), kind == Kind::Postgres, "{hold}");
    let amounts = hold["amounts"].as_array().unwrap();
    assert_eq!(amounts.len(), 3, "{hold}");
    for (budget, resource) in key["budgets"].as_array().unwrap().iter().zip(["tokens", "cost"]) {
        assert_eq!(budget["resource"], resource);
        let held = amounts.iter().find(|held| held["budget"] == budget["id"]).unwrap();
        assert_eq!(gate.counters(budget).await, (0, held["amount"].as_i64().unwrap()));
    }
    assert!(!holds.to_string().contains("price"), "{holds}");
    drop(stream);
    gate.assert_charged(&key, 1).await;
}

async fn a_user_deleted_with_open_holds_is_still_charged(kind: Kind) {
    let gate = Gate::on(kind).await;
    let key = gate.member("alice", json!({"budgets": BUDGETS})).await;
    // One goes on to its end, one is left by its client: both after the user is gone.
    let open = async |words: &str| {
        let mut stream = gate.call(&key, words, true).send().await.unwrap().bytes_stream();
        stream.next().await.unwrap().unwrap();
        stream
    };
    let (mut whole, left) = (open("tokens=20,delay=50").await, open("tokens=5,stall=2").await);
    assert_eq!(gate.get("/holds").await["holds"].as_array().unwrap().len(), 2);
    gate.ask("DELETE", "/users/alice", &Value::Null).await.body(200);
    assert_eq!(gate.get("/budgets").await["budgets"], json!([]));
    drop(left);
    let mut text = String::new();
    while let Some(chunk) = whole.next().await {
        text += &String::from_utf8_lossy(&chunk.unwrap());
    }
    assert!(text.contains("[DONE]"), "{text}");
    gate.assert_charged(&key, 2).await;
    let rows = gate.get("/usage?rows=9").await["rows"].clone();
    let mut ends: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| row["disposition"].as_str().unwrap()).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["cancelled", "settled"]);
    let refused = async { while read(gate.call(&key, "echo", false)).await.status != 401 {} };
    tokio::time::timeout(SOON, refused).await.unwrap();
}

async fn a_budget_deleted_under_load_loses_nothing(kind: Kind) {
    let gate = Gate::on(kind).await;
    let key = gate.member("alice", json!({"budgets": BUDGETS})).await;
    let calls = (0..60).map(|n| {
        let gate = &gate;
        let call = gate.call(&key, ["tokens=7", "tokens=3,delay=5", "echo"][n % 3], n % 2 == 0);
        async move { read(call).await }
    });
    let deleting = async {
        // In the middle of it: some calls have ended, some are open, some are still to come.
        while gate.mock.served() < 10 {
            tokio::task::yield_now().await;
        }
        for budget in key["budgets"].as_array().unwrap() {
            let path = format!("/budgets/{}", budget["id"].as_str().unwrap());
            let gone = gate.ask("DELETE", &path, &Value::Null).await.body(200);
            assert_eq!(gone["changed"], true);
        }
    };
    let (replies, ()) = tokio::join!(join_all(calls), deleting);
    for reply in replies {
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    gate.nothing_held().await;
    // Every call that the upstream served has its entry; those that a budget held were charged to
    // it, also when it was gone by then.
    let usage = gate.get("/usage?rows=1000").await;
    assert_eq!((&usage["total"]["requests"], gate.mock.served()), (&json!(60), 60));
    for budget in key["budgets"].as_array().unwrap() {
        let (spent, held) = gate.counters(budget).await;
        assert!(spent > 0 && held == 0, "{budget}: {spent} spent, {held} held");
    }
    let requests = gate.counters(&key["budgets"][2]).await.0;
    assert!((10..=60).contains(&requests), "{requests}");
    assert_eq!(gate.get("/budgets").await["budgets"], json!([]));
}
