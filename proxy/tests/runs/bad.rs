//! Strangers, and input that is no good.

use crate::{
    alone,
    gate::{Gate, Open, Reply},
};
use tollgate_bench::Mock;

#[tokio::test]
async fn a_run_is_seen_by_its_user_alone() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let user = gate.user("alice").await;
    let ((key, _), (sibling, _)) = (gate.key(&user).await, gate.key(&user).await);
    let stranger = gate.any_key().await;
    let reply = Reply::to(gate.stream(&key, "a", "tokens=3")).await;
    let id = reply.header("x-request-id").to_owned();
    assert_eq!(gate.status(&sibling, &id).await["state"], "finished");
    let events = format!("/api/v1/runs/{id}/events");
    assert_eq!(gate.get(&sibling, &events).await.events(), reply.events());
    for path in [format!("/api/v1/runs/{id}"), events, "/api/v1/runs/key:a".to_owned()] {
        gate.get(&stranger, &path).await.assert_error(404, "run_not_found");
    }
    gate.cancel(&stranger, &id).await.assert_error(404, "run_not_found");
    gate.get(&sibling, "/api/v1/runs/key:a").await.assert_error(404, "run_not_found");
}

/// An agent's key is for its own work: what its user and other agents ask is not its business.
#[tokio::test]
async fn a_delegated_key_knows_its_own_runs_and_those_below_it_and_no_others() {
    let mock = Mock::start().await.unwrap();
    let (folder, gate) = alone(&mock, "").await;
    let user = gate.user("alice").await;
    let ((lead, _), (sibling, _)) = (gate.key(&user).await, gate.key(&user).await);
    let (agent, other) = (gate.delegated(&lead).await, gate.delegated(&lead).await);
    let below = gate.delegated(&agent).await;
    let mut runs = Vec::new();
    for key in [&lead, &agent, &below] {
        let reply = Reply::to(gate.stream(key, "a", "tokens=3")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        runs.push(reply.header("x-request-id").to_owned());
    }
    // Of the lead, of the agent, of the one below it.
    let known = [
        (&lead, [true, true, true]),
        (&sibling, [true, true, true]),
        (&agent, [false, true, true]),
        (&below, [false, false, true]),
        (&other, [false, false, false]),
    ];
    let check = async |gate: &Gate| {
        for (key, known) in known {
            for (run, known) in runs.iter().zip(known) {
                let events = format!("/api/v1/runs/{run}/events");
                for path in [format!("/api/v1/runs/{run}"), events] {
                    let reply = gate.get(key, &path).await;
                    assert_eq!(reply.status, if known { 200 } else { 404 }, "{}", reply.body);
                }
                if !known {
                    gate.cancel(key, run).await.assert_error(404, "run_not_found");
                }
            }
        }
    };
    check(&gate).await;
    let mut open = Open::to(gate.stream(&agent, "b", "stall=3")).await;
    open.take(2).await;
    gate.cancel(&other, &open.id).await.assert_error(404, "run_not_found");
    assert_eq!(gate.status(&agent, &open.id).await["state"], "running");
    assert_eq!(gate.cancel(&lead, &open.id).await.status, 204);
    assert_eq!(gate.ended(&agent, &open.id).await, "cancelled");
    drop(open);
    gate.stop().await;
    // As they stand in the database.
    let store = format!("sqlite:{}", folder.path().join("t.db").display());
    check(&Gate::start(&mock, &store, "").await).await;
}

#[tokio::test]
async fn a_key_that_may_not_stream_reads_no_events_and_gets_its_answer_again() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let user = gate.user("alice").await;
    let chat = serde_json::from_str(r#"{"features": ["chat"]}"#).unwrap();
    let (key, _) = gate.key_that_may(&user, chat).await;
    let ask = || gate.ask(&key, "/api/v1/generate", "a", "tokens=3");
    let (first, again) = (Reply::to(ask()).await, Reply::to(ask()).await);
    assert_eq!((first.status, &again.body), (200, &first.body));
    let events = gate.get(&key, "/api/v1/runs/key:a/events").await;
    assert_eq!(events.status, 403, "{}", events.body);
    assert_eq!(events.json()["error"]["permission"], "feature:stream");
    let streamed = Reply::to(gate.stream(&key, "a", "tokens=3")).await;
    assert_eq!(streamed.json()["error"]["permission"], "feature:stream");
    assert_eq!(mock.served(), 1);
}

#[tokio::test]
async fn bad_input_is_told_by_its_field() {
    let mock = Mock::start().await.unwrap();
    let (_folder, gate) = alone(&mock, "").await;
    let key = gate.any_key().await;
    let reply = Reply::to(gate.stream(&key, "a", "tokens=3")).await;
    let id = reply.header("x-request-id");
    let count = reply.events().len();
    for (query, field) in [
        ("after=x".to_owned(), "after"),
        ("after=-1".to_owned(), "after"),
        ("after=99999999999999999999".to_owned(), "after"),
        ("before=1".to_owned(), "before"),
        (format!("after={}", count - 1), "after"),
        (format!("after={}", u64::MAX), "after"),
    ] {
        let reply = gate.get(&key, &format!("/api/v1/runs/{id}/events?{query}")).await;
        assert_eq!(reply.status, 400, "{query}: {}", reply.body);
        assert_eq!(reply.json()["error"]["param"], field, "{query}");
    }
    for name in ["nobody", "a%00b", "%ff", &"x".repeat(4000)] {
        let reply = gate.get(&key, &format!("/api/v1/runs/{name}")).await;
        assert!([400, 404].contains(&reply.status), "{name}: {}", reply.body);
        assert!(reply.body.len() < 1000, "{}", reply.body);
    }
    let word = gate.stream(&key, "b", "tokens=3").header("x-tollgate-resumable", "maybe");
    let reply = Reply::to(word).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["param"]),
        (400, &"x-tollgate-resumable".into())
    );
}
