//! What Tollgate adds to a call, over real connections: the mock upstream asked directly, and
//! through servers whose ledger is off, on SQLite and on PostgreSQL. Same client, same requests, one
//! process, interleaved rounds; medians, given as ratios because absolute times are the machine's.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints ratios, and stops where it cannot go on"
)]

use futures_util::StreamExt;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tollgate::store::BudgetRow;
use tollgate_bench::{
    Mock,
    private::{Database, Durability, Postgres},
};
use tollgate_tests::server::{Server, budget, client, config_over};
use tollgate_types::{Resource, Window};

/// Odd, so that there is a middle one.
const RUNS: usize = 5;

/// Calls of one run, and how many of them are open at once.
const LOADS: [(usize, usize); 3] = [(400, 1), (4_000, 64), (4_000, 512)];

struct Target {
    name: &'static str,
    url: String,
    key: String,
    model: &'static str,
}

#[derive(Clone, Copy)]
struct Run {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only asks whether this builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let mock = Mock::start().await.unwrap();
    let postgres = Postgres::start(Durability::Disk).await.unwrap();
    let database = Database::on(&postgres.url()).await.unwrap();
    let off = Server::start(config_over(&mock, "[ledger]\nenabled = false\n")).await;
    let sqlite = Server::over(&mock).await;
    let url = format!("[store]\nurl = \"{}\"\n", database.url());
    let shared = Server::start(config_over(&mock, &url)).await;
    let direct = Target {
        name: "direct",
        url: mock.base_url(),
        key: "none".to_owned(),
        model: "mock-tokens=16",
    };
    let targets = [
        direct,
        target("off", &off, Vec::new()).await,
        target("SQLite", &sqlite, budgets()).await,
        target("PostgreSQL", &shared, budgets()).await,
    ];
    let http = client();
    println!("{RUNS} rounds, 1 KB chat, 16 output tokens, {} cores", cores());
    for (calls, at_once) in LOADS {
        measure(&http, &targets, calls, at_once).await;
    }
}

async fn target(name: &'static str, server: &Server, budgets: Vec<BudgetRow>) -> Target {
    let key = server.key_with(budgets).await.text;
    Target { name, url: format!("{}/v1", server.url()), key, model: "mock/mock-tokens=16" }
}

fn budgets() -> Vec<BudgetRow> {
    let kinds = [Resource::Cost, Resource::Tokens, Resource::Requests];
    kinds.map(|resource| budget(resource, Window::Month, i64::MAX / 4)).to_vec()
}

async fn measure(http: &reqwest::Client, targets: &[Target], calls: usize, at_once: usize) {
    let mut runs: Vec<Vec<Run>> = targets.iter().map(|_| Vec::new()).collect();
    for round in 0..=RUNS {
        for (target, runs) in targets.iter().zip(&mut runs) {
            let run = run(http, target, calls, at_once).await;
            // The first round warms up.
            if round > 0 {
                runs.push(run);
            }
        }
    }
    let medians: Vec<Run> = runs.into_iter().map(median).collect();
    println!("\n{at_once} at once");
    for (target, run) in targets.iter().zip(&medians) {
        report(target.name, run, &medians[0]);
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn body(target: &Target) -> Value {
    json!({
        "model": target.model,
        "messages": [{"role": "user", "content": "x".repeat(1000)}],
        "max_tokens": 16,
    })
}

async fn run(http: &reqwest::Client, target: &Target, calls: usize, at_once: usize) -> Run {
    let body = body(target);
    let started = Instant::now();
    let mut times: Vec<Duration> = futures_util::stream::iter(0..calls)
        .map(|_| call(http, target, &body))
        .buffer_unordered(at_once)
        .collect()
        .await;
    let seconds = started.elapsed().as_secs_f64();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    Run { per_second: calls as f64 / seconds, p50: at(50), p99: at(99) }
}

async fn call(http: &reqwest::Client, target: &Target, body: &Value) -> Duration {
    let started = Instant::now();
    let url = format!("{}/chat/completions", target.url);
    loop {
        let answer = http.post(&url).bearer_auth(&target.key).json(body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        // A database that is asked for more than it can do at once says so: clients ask again.
        if status != 503 {
            assert!(status.is_success(), "{text}");
            return started.elapsed();
        }
    }
}

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let middle = runs.len() / 2;
    runs.swap_remove(middle)
}

fn report(name: &str, run: &Run, direct: &Run) {
    println!(
        "  {name:<11}{:>8.0} calls/s (x{:.2})   p50 {:>8.2?} (x{:.2})   p99 {:>8.2?} (x{:.2})",
        run.per_second,
        run.per_second / direct.per_second,
        run.p50,
        run.p50.as_secs_f64() / direct.p50.as_secs_f64(),
        run.p99,
        run.p99.as_secs_f64() / direct.p99.as_secs_f64(),
    );
}
