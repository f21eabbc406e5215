//! What Tollgate adds to a call: the mock upstream asked directly, and through a server whose
//! ledger writes a durable hold and a durable entry for every request. Same client, same requests,
//! one process; medians of several runs, given as ratios because absolute times are the machine's.
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
use tollgate_bench::Mock;
use tollgate_tests::server::{Server, budget, client};
use tollgate_types::{Resource, Window};

/// Odd, so that there is a middle one.
const RUNS: usize = 5;

/// Calls of one run, and how many of them are open at once.
const LOADS: [(usize, usize); 3] = [(400, 1), (4_000, 64), (4_000, 256)];

struct Target {
    url: String,
    key: String,
    model: &'static str,
}

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
    let server = Server::over(&mock).await;
    let kinds = [Resource::Cost, Resource::Tokens, Resource::Requests];
    let budgets = kinds.map(|resource| budget(resource, Window::Month, i64::MAX / 4));
    let key = server.key_with(budgets.to_vec()).await;
    let targets = [
        Target { url: mock.base_url(), key: "none".to_owned(), model: "mock-tokens=16" },
        Target { url: format!("{}/v1", server.url()), key: key.text, model: "mock/mock-tokens=16" },
    ];
    let http = client();
    println!("{RUNS} runs each, 1 KB chat, 16 output tokens, {} cores", cores());
    for (calls, at_once) in LOADS {
        let mut medians = Vec::new();
        for target in &targets {
            run(&http, target, calls / 4, at_once).await;
            let mut runs = Vec::new();
            for _ in 0..RUNS {
                runs.push(run(&http, target, calls, at_once).await);
            }
            medians.push(median(runs));
        }
        report(at_once, &medians[0], &medians[1]);
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
    let answer = http.post(url).bearer_auth(&target.key).json(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    answer.bytes().await.unwrap();
    started.elapsed()
}

fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let middle = runs.len() / 2;
    runs.swap_remove(middle)
}

fn report(at_once: usize, direct: &Run, through: &Run) {
    let line = |name: &str, run: &Run| {
        println!(
            "  {name:<9} {:>8.0} calls/s   p50 {:>8.2?}   p99 {:>8.2?}",
            run.per_second, run.p50, run.p99
        );
    };
    println!("\n{at_once} at once");
    line("direct", direct);
    line("tollgate", through);
    println!(
        "  ratio     {:>8.2} of the calls/s   p50 x{:.2}   p99 x{:.2}",
        through.per_second / direct.per_second,
        through.p50.as_secs_f64() / direct.p50.as_secs_f64(),
        through.p99.as_secs_f64() / direct.p99.as_secs_f64(),
    );
}
