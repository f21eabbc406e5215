//! What other servers, and those that come after, know of a call.

use crate::{
    assert_numbered,
    gate::{Gate, Open, Reply, SOON},
    type_of,
};
use tollgate::{
    clock::{Clock, SystemClock},
    store::{NodeRow, RunChange, RunRow},
};
use tollgate_bench::{
    Mock, on_both_engines,
    private::{Database, Home, Kind, redis_url},
};

on_both_engines!(
    a_server_that_comes_after_gives_the_answer_again,
    a_call_whose_server_died_is_not_made_again,
    a_call_that_a_stopping_server_broke_off_is_not_made_again,
    a_key_is_free_when_its_time_is_over,
);

async fn a_server_that_comes_after_gives_the_answer_again(kind: Kind) {
    let (mock, home) = (Mock::start().await.unwrap(), Home::fresh(kind).await.unwrap());
    let gate = Gate::start(&mock, &home.url(), "").await;
    let key = gate.any_key().await;
    let first = Reply::to(gate.stream(&key, "a", "tokens=6")).await;
    let broken = Reply::to(gate.stream(&key, "b", "status=500")).await;
    assert_eq!(broken.status, 502);
    Reply::to(gate.stream(&key, "c", "tokens=2")).await;
    gate.cancel(&key, "key:d").await;
    gate.stop().await;

    let gate = Gate::start(&mock, &home.url(), "").await;
    let again = Reply::to(gate.stream(&key, "a", "tokens=6")).await;
    assert_eq!(again.events(), first.events());
    assert_eq!(again.header("x-request-id"), first.header("x-request-id"));
    let changed = Reply::to(gate.stream(&key, "a", "tokens=7")).await;
    changed.assert_error(409, "idempotency_key_reused");
    let id = first.header("x-request-id");
    assert_eq!(gate.status(&key, id).await["state"], "finished");
    assert_eq!(gate.status(&key, id).await["receipt"]["request_id"], id);
    let rest = gate.get(&key, &format!("/api/v1/runs/{id}/events?after=2")).await;
    assert_eq!(rest.events()[..], first.events()[3..]);
    Reply::to(gate.stream(&key, "d", "tokens=2")).await.assert_error(499, "run_cancelled");
    assert_eq!(mock.served(), 3);
    assert_eq!(Reply::to(gate.stream(&key, "b", "status=500")).await.status, 502);
    assert_eq!(mock.served(), 4, "a call that failed is made again");
    gate.stop().await;
}

/// A call as a server that is gone left it.
fn left_behind(key_id: &str, user_id: &str, body: &[u8]) -> RunRow {
    let now_ms = SystemClock.now_ms();
    RunRow {
        key_id: key_id.to_owned(),
        key_hash: blake3::hash(b"a").to_hex().to_string(),
        user_id: user_id.to_owned(),
        fingerprint: blake3::hash(body).to_hex().to_string(),
        request_id: "01left".to_owned(),
        node: "01gone".to_owned(),
        state: "running".to_owned(),
        started_ms: now_ms,
        expires_ms: now_ms + 60_000,
        ..RunRow::default()
    }
}

async fn claim(gate: &Gate, run: RunRow) {
    let claimed = gate.store.write_runs(&[RunChange::Claim(Box::new(run))]).await.unwrap();
    assert_eq!(claimed, [true]);
}

async fn a_call_whose_server_died_is_not_made_again(kind: Kind) {
    let (mock, home) = (Mock::start().await.unwrap(), Home::fresh(kind).await.unwrap());
    let gate = Gate::start(&mock, &home.url(), "").await;
    let user = gate.user("alice").await;
    let (key, key_id) = gate.key(&user).await;
    let request = gate.stream(&key, "a", "tokens=6").build().unwrap();
    let body = request.body().unwrap().as_bytes().unwrap();
    claim(&gate, left_behind(&key_id, &user.id, body)).await;

    for _ in 0..2 {
        let reply = Reply::to(gate.stream(&key, "a", "tokens=6")).await;
        reply.assert_error(502, "run_interrupted");
        let error = &reply.json()["error"];
        assert_eq!(
            (&error["kind"], &error["retryable"]),
            (&"stream_interrupted".into(), &false.into())
        );
        assert_eq!(error["request_id"], "01left");
    }
    assert_eq!(gate.status(&key, "01left").await["state"], "failed");
    let changed = Reply::to(gate.stream(&key, "a", "tokens=7")).await;
    changed.assert_error(409, "idempotency_key_reused");
    assert_eq!(mock.served(), 0);
    gate.stop().await;
}

/// Whether the servers of a shared database that have stopped are taken for dead.
async fn assert_forgotten(gate: &Gate, nodes: &[NodeRow]) {
    let forgotten = async {
        for node in nodes {
            while gate.store.node_lives(&node.id).await.unwrap() {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(SOON, forgotten).await.unwrap();
}

async fn a_call_that_a_stopping_server_broke_off_is_not_made_again(kind: Kind) {
    const AT_ONCE: &str = "[server]\ndrain_seconds = 0\n[ledger]\nlease_seconds = 3";
    let (mock, home) = (Mock::start().await.unwrap(), Home::fresh(kind).await.unwrap());
    let gate = Gate::start(&mock, &home.url(), AT_ONCE).await;
    let key = gate.any_key().await;
    let silent = "headers_delay=60000";
    let ask = |gate: &Gate| {
        let silent_embedder = format!("mock/mock-{silent}");
        [
            gate.stream(&key, "a", silent),
            gate.ask(&key, "/api/v1/generate", "b", silent),
            gate.embed_by(&silent_embedder, (&key, "c"), &["one"]),
        ]
    };
    let mut begun = Open::to(gate.stream(&key, "d", "stall=3")).await;
    begun.take(2).await;
    let nodes = gate.store.nodes().await.unwrap();
    let waiting = futures_util::future::join_all(ask(&gate).map(Reply::to));
    let (broken_off, ()) = tokio::join!(waiting, async {
        assert!(mock.works(|calls| calls == 4, SOON).await);
        gate.stop().await;
    });
    for reply in broken_off {
        assert_eq!(reply.status, 502, "{}", reply.body);
        assert_eq!(reply.json()["error"]["kind"], "stream_interrupted", "{}", reply.body);
    }
    assert_eq!(begun.rest().await.last().unwrap().1["error"]["kind"], "overloaded");

    let gate = Gate::start(&mock, &home.url(), AT_ONCE).await;
    assert_forgotten(&gate, &nodes).await;
    for _ in 0..2 {
        for again in ask(&gate).into_iter().chain([gate.stream(&key, "d", "stall=3")]) {
            Reply::to(again).await.assert_error(502, "run_interrupted");
        }
    }
    assert_eq!((mock.served(), gate.booked(&key).await), (4, 4));
    gate.stop().await;
}

async fn a_key_is_free_when_its_time_is_over(kind: Kind) {
    let (mock, home) = (Mock::start().await.unwrap(), Home::fresh(kind).await.unwrap());
    let gate = Gate::start(&mock, &home.url(), "").await;
    let user = gate.user("alice").await;
    let (key, key_id) = gate.key(&user).await;
    let old = RunRow { started_ms: 1, expires_ms: 2, ..left_behind(&key_id, &user.id, b"x") };
    claim(&gate, old).await;
    assert_eq!(gate.get(&key, "/api/v1/runs/01left").await.status, 404);
    assert_eq!(Reply::to(gate.stream(&key, "a", "tokens=6")).await.status, 200);
    assert_eq!(mock.served(), 1);
    gate.stop().await;
}

/// Two servers that share a PostgreSQL.
async fn pair(mock: &Mock, database: &Database) -> [Gate; 2] {
    let url = database.url();
    [
        Gate::start(mock, &url, "connections = 4").await,
        Gate::start(mock, &url, "connections = 4").await,
    ]
}

#[tokio::test]
async fn a_call_that_runs_at_one_server_is_not_made_by_another() {
    let (mock, database) = (Mock::start().await.unwrap(), Database::fresh().await.unwrap());
    let [one, two] = pair(&mock, &database).await;
    let key = one.any_key().await;
    let model = "tokens=30,delay=30";
    let mut running = Open::to(one.stream(&key, "a", model)).await;
    let mut events = running.take(3).await;
    let refused = Reply::to(two.stream(&key, "a", model)).await;
    refused.assert_error(409, "run_elsewhere");
    assert_eq!(refused.json()["error"]["retryable"], true);
    assert!(!refused.header("retry-after-ms").is_empty());
    assert_eq!(two.status(&key, &running.id).await["state"], "running");
    events.extend(running.rest().await);
    assert_numbered(0, &events);
    // The answer is there as soon as it is written down.
    let again = async {
        loop {
            let reply = Reply::to(two.stream(&key, "a", model)).await;
            if reply.status == 200 {
                return reply;
            }
            reply.assert_error(409, "run_elsewhere");
        }
    };
    let again = tokio::time::timeout(SOON, again).await.unwrap();
    assert_eq!(again.events(), events);
    assert_eq!(again.header("x-request-id"), running.id);
    assert_eq!((mock.served(), one.booked(&key).await), (1, 1));
}

#[tokio::test]
async fn a_call_that_runs_at_one_server_is_read_live_at_another_through_redis() {
    let (mock, database) = (Mock::start().await.unwrap(), Database::fresh().await.unwrap());
    let redis = redis_url().await.unwrap();
    let more = format!("connections = 4\n[redis]\nurl = \"{redis}\"");
    let one = Gate::start(&mock, &database.url(), &more).await;
    let two = Gate::start(&mock, &database.url(), &more).await;
    let key = one.any_key().await;
    let model = "tokens=60,delay=30";
    let mut first = Open::to(one.stream(&key, "a", model)).await;
    let mut events = first.take(3).await;
    let id = first.id.clone();
    let mut second = Open::to(two.stream(&key, "a", model)).await;
    assert_eq!(second.id, id);
    assert_eq!(second.take(2).await[..], events[..2]);
    // The run is read at the other server alone from now on, and goes on.
    drop(first);
    let path = format!("/api/v1/runs/{id}/events?after=2");
    let third = Reply::to(two.request(reqwest::Method::GET, &path, &key)).await;
    events.extend(third.events());
    assert_numbered(0, &events);
    assert_eq!(type_of(events.last().unwrap()), "finish");
    assert_eq!(second.rest().await[..], events[2..]);
    assert_eq!((mock.served(), mock.aborted().len(), one.booked(&key).await), (1, 0, 1));

    // Whoever leaves there leaves the run.
    let mut last = Open::to(one.stream(&key, "b", "stall=3")).await;
    last.take(2).await;
    let mut other = Open::to(two.stream(&key, "b", "stall=3")).await;
    other.take(2).await;
    drop(last);
    drop(other);
    assert!(mock.saw_aborts(1, SOON).await);
}

#[tokio::test]
async fn a_call_is_cancelled_through_another_server() {
    let (mock, database) = (Mock::start().await.unwrap(), Database::fresh().await.unwrap());
    let [one, two] = pair(&mock, &database).await;
    let key = one.any_key().await;
    let mut running = Open::to(one.stream(&key, "a", "stall=3")).await;
    running.take(2).await;
    assert_eq!(two.cancel(&key, &running.id).await.status, 204);
    let rest = running.rest().await;
    assert_eq!(type_of(rest.last().unwrap()), "error");
    assert_eq!(rest.last().unwrap().1["error"]["kind"], "cancelled");
    assert!(mock.saw_aborts(1, SOON).await);
    // One that has not come yet is not made at any of them.
    assert_eq!(two.cancel(&key, "key:b").await.status, 204);
    Reply::to(one.stream(&key, "b", "tokens=3")).await.assert_error(499, "run_cancelled");
    assert_eq!(mock.served(), 1);
}

#[tokio::test]
async fn a_crowd_at_two_servers_under_one_key_is_one_call() {
    let (mock, database) = (Mock::start().await.unwrap(), Database::fresh().await.unwrap());
    let gates = pair(&mock, &database).await;
    let key = gates[0].any_key().await;
    for once in ["a", "b", "c"] {
        let asks = (0..12).map(|n| Reply::to(gates[n % 2].stream(&key, once, "tokens=3")));
        for reply in futures_util::future::join_all(asks).await {
            assert!([200, 409].contains(&reply.status), "{}", reply.body);
        }
    }
    assert_eq!((mock.served(), gates[0].booked(&key).await), (3, 3));
}

#[tokio::test]
async fn a_server_that_is_taken_for_dead_has_lost_its_calls() {
    let (mock, database) = (Mock::start().await.unwrap(), Database::fresh().await.unwrap());
    let [one, two] = pair(&mock, &database).await;
    let key = one.any_key().await;
    let nodes: Vec<NodeRow> = one.store.nodes().await.unwrap();
    assert_eq!(nodes.len(), 2);
    for node in &nodes {
        assert!(two.store.node_lives(&node.id).await.unwrap());
    }
    assert!(!two.store.node_lives("01gone").await.unwrap());
    assert_eq!(Reply::to(one.stream(&key, "a", "tokens=1")).await.status, 200);
}
