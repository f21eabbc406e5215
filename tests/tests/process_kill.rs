//! kill -9, and the books afterwards.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use tokio::{sync::watch, task::JoinSet};
use tollgate_bench::Mock;
use tollgate_tests::process::{
    Api, Crowd, End, Firm, Fleet, Install, Key, PATIENCE, REAL_MODEL, Server, mock_provider,
    question, real_provider, seed, until,
};

/// The meter writes down what was delivered at least this often, in tokens, and counts a token for
/// every four bytes at most.
const NOTED_EVERY: u64 = 16;

async fn started(install: &Install, budgets: &[&str]) -> (Server, Key) {
    install.user("alice").await;
    let key = install.key("alice", budgets).await;
    (install.serve().await, key)
}

fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {value}"))
}

/// No hold is open, and every budget has spent what the rows say.
async fn books_balance(install: &Install) {
    let rows = install.rows().await;
    let sum = |pointer: &str| rows.iter().map(|row| number(row, pointer)).sum::<u64>();
    for budget in install.budgets().await {
        let expected = match budget["resource"].as_str().unwrap() {
            "cost" => sum("/cost_nano_usd"),
            "tokens" => sum("/usage/input") + sum("/usage/output"),
            _ => rows.iter().filter(|row| row["disposition"] != "failed").count() as u64,
        };
        assert_eq!(number(&budget, "/held"), 0, "{budget}");
        assert_eq!(number(&budget, "/spent"), expected, "{budget} against {rows:?}");
        assert!(number(&budget, "/spent") <= number(&budget, "/cap"), "{budget}");
    }
}

/// The row is what the caller was told.
fn is_exactly(row: &Value, finish: &Value) {
    assert_eq!(row["disposition"], "settled", "{row}");
    assert_eq!(row["usage"], finish["usage"], "{row}");
    assert_eq!(row["cost_nano_usd"], finish["receipt"]["cost_nano_usd"], "{row}");
}

/// The row of a request that the kill hit, when the caller had seen so many pieces of it.
fn is_open_end(row: &Value, delivered: u64) {
    assert_eq!(row["disposition"], "unknown", "{row}");
    assert_eq!(row["usage"]["estimated"], true, "{row}");
    let output = number(row, "/usage/output");
    assert!(output + NOTED_EVERY >= delivered, "{delivered} were delivered: {row}");
}

#[tokio::test]
async fn a_request_that_a_kill_hits_has_its_row_and_the_finished_one_keeps_its_own() {
    let mock = Mock::start().await.unwrap();
    let install = Install::new(&mock_provider(&mock));
    let budgets = [
        "--budget",
        "cost=1usd/day",
        "--budget",
        "tokens=100000/day",
        "--budget",
        "requests=9/day",
    ];
    let (server, key) = started(&install, &budgets).await;
    let api = server.api(&key);
    let finished = api.ask("mock/echo", "finished before the kill", 50).await;
    let mut stream = api.stream("mock/echo", "[[mock tokens=5000 delay=5]]", 5000).await.unwrap();
    stream.deltas(60).await;
    server.kill().await;
    let request_id = stream.request_id.clone();
    let late = stream.rest().await.len() as u64;

    let server = install.serve().await;
    let rows = install.rows().await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!(rows[0]["request_id"], finished["receipt"]["request_id"]);
    is_exactly(&rows[0], &finished);
    assert_eq!(rows[1]["request_id"], *request_id);
    is_open_end(&rows[1], 60);
    assert!(number(&rows[1], "/usage/input") > 0 && number(&rows[1], "/cost_nano_usd") > 0);
    let most = (60 + late) * 2 + NOTED_EVERY;
    assert!(number(&rows[1], "/usage/output") <= most, "at most {most}: {}", rows[1]);
    books_balance(&install).await;
    // The key works on, and a second restart finds nothing more to settle.
    server.api(&key).ask("mock/echo", "again", 50).await;
    server.kill().await;
    drop(install.serve().await);
    assert_eq!(install.rows().await.len(), 3);
    books_balance(&install).await;
}

#[tokio::test]
async fn a_kill_while_the_real_model_speaks_leaves_a_row_with_its_exact_input() {
    let install = Install::new(&real_provider());
    let (server, key) =
        started(&install, &["--budget", "cost=1usd/day", "--budget", "tokens=9999/day"]).await;
    let api = server.api(&key);
    let text = "Write a long story about a river and the people who live beside it.";
    let finished = api.ask(REAL_MODEL, text, 4).await;
    let mut stream = api.stream(REAL_MODEL, text, 600).await.unwrap();
    stream.deltas(24).await;
    server.kill().await;

    drop(install.serve().await);
    let rows = install.rows().await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    is_exactly(&rows[0], &finished);
    is_open_end(&rows[1], 24);
    assert_eq!(rows[1]["usage"]["input"], finished["usage"]["input"], "the prompt was the same");
    books_balance(&install).await;
}

/// What one caller saw of its answer before the server died.
#[derive(Default)]
struct Seen {
    /// Absent when not even the head of the answer came.
    request_id: Option<String>,
    pieces: u64,
    /// The last event, or the whole answer.
    end: Option<Value>,
}

/// How many callers were told the end, and how many were refused.
type Progress = Arc<watch::Sender<(usize, usize)>>;

/// Asks, and reads until the end or the kill; a refusal is its status.
async fn listen(api: Api, nth: usize, progress: Progress) -> Result<Seen, u16> {
    let text = format!("[[mock tokens={} delay=10]]", 10 + nth * 15);
    let asked = if nth % 4 == 3 {
        listen_whole(&api, &text).await
    } else {
        listen_streamed(&api, &text).await
    };
    let Ok(mut seen) = asked else {
        progress.send_modify(|(_, refused)| *refused += 1);
        return asked;
    };
    if let Some(end) = &seen.end {
        let id = end["receipt"]["request_id"].as_str().map(str::to_owned);
        assert!(id.is_some() && (seen.request_id.is_none() || seen.request_id == id), "{end}");
        seen.request_id = id;
        progress.send_modify(|(finished, _)| *finished += 1);
    }
    Ok(seen)
}

async fn listen_streamed(api: &Api, text: &str) -> Result<Seen, u16> {
    let mut stream = match api.stream("mock/echo", text, 400).await {
        Ok(stream) => stream,
        Err(Some(status)) => return Err(status),
        Err(None) => return Ok(Seen::default()),
    };
    let mut seen = Seen { request_id: Some(stream.request_id.clone()), ..Seen::default() };
    while let Some(event) = stream.next().await {
        seen.pieces += u64::from(event["type"] == "part_delta");
        seen.end = (event["type"] == "finish").then_some(event);
    }
    Ok(seen)
}

async fn listen_whole(api: &Api, text: &str) -> Result<Seen, u16> {
    let asked = api.send("/api/v1/generate", &question("mock/echo", text, 400)).await;
    match asked {
        Ok(answer) if answer.status() == 200 => {
            Ok(Seen { end: answer.json().await.ok(), ..Seen::default() })
        }
        Ok(refusal) => Err(refusal.status().as_u16()),
        // The connection broke.
        Err(_) => Ok(Seen::default()),
    }
}

#[tokio::test]
async fn a_kill_amid_twenty_requests_loses_none_and_spends_no_more_than_the_cap() {
    let mock = Mock::start().await.unwrap();
    let install = Install::new(&mock_provider(&mock));
    let budgets = [
        "--budget",
        "requests=15/day",
        "--budget",
        "cost=1usd/day",
        "--budget",
        "tokens=90000/day",
    ];
    let (server, key) = started(&install, &budgets).await;
    let progress: Progress = Arc::default();
    let mut callers = JoinSet::new();
    // Twenty first uses of a key at once would spend their time on its hash.
    assert_eq!(server.api(&key).get("/api/v1/budgets").await.0, 200);
    for nth in 0..20 {
        callers.spawn(listen(server.api(&key), nth, Arc::clone(&progress)));
    }
    until("fifteen reach the upstream", PATIENCE, async || mock.served() == 15).await;
    let mut told = progress.subscribe();
    let enough = told.wait_for(|(finished, refused)| *finished >= 4 && *refused == 5);
    drop(tokio::time::timeout(PATIENCE, enough).await.unwrap());
    for budget in server.api(&key).get("/api/v1/budgets").await.1["budgets"].as_array().unwrap() {
        let used = number(budget, "/spent") + number(budget, "/held");
        assert!(used <= number(budget, "/cap"), "{budget}");
    }
    server.kill().await;

    let outcomes = callers.join_all().await;
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(402))).count();
    assert_eq!((refused, mock.served()), (5, 15));
    drop(install.serve().await);
    let rows = install.rows().await;
    let by_id: BTreeMap<&str, &Value> =
        rows.iter().map(|row| (row["request_id"].as_str().unwrap(), row)).collect();
    assert_eq!((rows.len(), by_id.len()), (15, 15), "one row for each");
    let mut hit = 0;
    for seen in outcomes.into_iter().flatten() {
        // Whose caller knows no id is among the fifteen that were counted.
        let Some(id) = &seen.request_id else { continue };
        let row = by_id[id.as_str()];
        match &seen.end {
            Some(end) => is_exactly(row, end),
            // It may have been settled, and died before its caller was told.
            None if row["disposition"] == "settled" => {}
            None => {
                is_open_end(row, seen.pieces);
                hit += 1;
            }
        }
    }
    assert!(hit > 0, "the kill hit nothing");
    books_balance(&install).await;
}

#[tokio::test]
async fn kills_at_any_moment_lose_nothing_that_was_told_and_pass_no_cap() {
    let firm = Firm::in_file().await;
    let witness = firm.witness(seed());
    let mut rng = fastrand::Rng::with_seed(witness.seed);
    let mut fleet = Fleet::start(&firm.install, 1, firm.keys.clone()).await;
    let stop = watch::Sender::new(false);
    let mut watching = JoinSet::new();
    watching.spawn(firm.books.clone().watch(stop.subscribe()));
    firm.allow(0).await;
    let crowd = Crowd::of(&fleet, 16, witness.seed);
    for _ in 0..6 {
        firm.allow(rng.i64(6_000_000..20_000_000)).await;
        let enough = crowd.told() + rng.u64(30..120);
        until("callers are answered", PATIENCE, async || crowd.told() >= enough).await;
        fleet.take(0).kill().await;
        fleet.start_again(&firm.install, 0).await;
    }
    let told = crowd.end().await;
    stop.send_replace(true);
    firm.check(&told).await;
    let looks = watching.join_all().await;
    let count = |what: fn(&End) -> bool| told.iter().filter(|told| what(&told.end)).count();
    let finished = count(|end| matches!(end, End::Finished(_)));
    let refused = count(|end| matches!(end, End::Refused(402, _)));
    let entries = firm.books.entries().await;
    let unknown = entries.iter().filter(|entry| entry.disposition == "unknown").count();
    let seen = (finished, refused, unknown, looks);
    assert!(finished > 50 && refused > 5 && unknown > 0 && seen.3[0] > 20, "no test: {seen:?}");
}
