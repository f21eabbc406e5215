//! Calls at once, and what they took.

use super::books::Books;
use futures_util::StreamExt;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tollgate::{
    access::{Caller, Target, authorize},
    clock::SystemClock,
    gateway::Call,
    ids::new_id,
    ledger::Order,
    prices::{Bound, quote},
};
use tollgate_types::{GenerateRequest, Message, StreamEvent};

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Calls a second.
    pub per_second: f64,
    /// Median time of a call.
    pub p50: Duration,
    /// Only one in a hundred took longer.
    pub p99: Duration,
    /// From the last thing that the provider said to the end of the answer: the settlement.
    pub settle: Duration,
    /// This process's processor time for a call.
    pub processor: Duration,
    /// That of the PostgreSQL server.
    pub database: Duration,
}

/// Calls through the whole path.
pub async fn run(books: &Books, calls: usize, at_once: usize, postmaster: u32) -> Run {
    let (started, before) = (Instant::now(), processor("self"));
    let database = family(postmaster);
    // Boxed: what waits is moved otherwise, and only a ledger makes calls wait here.
    let mut times: Vec<(Duration, Duration)> = futures_util::stream::iter(0..calls)
        .map(|n| Box::pin(call(books, &books.callers[n % books.callers.len()])))
        .buffer_unordered(at_once)
        .collect()
        .await;
    let seconds = started.elapsed().as_secs_f64();
    let each = u32::try_from(calls).unwrap();
    let mut settles: Vec<Duration> = times.iter().map(|(_, settle)| *settle).collect();
    settles.sort_unstable();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].0;
    Run {
        per_second: calls as f64 / seconds,
        p50: at(50),
        p99: at(99),
        settle: settles[settles.len() / 2],
        processor: (processor("self") - before) / each,
        database: family(postmaster).saturating_sub(database) / each,
    }
}

async fn call(books: &Books, caller: &Arc<Caller>) -> (Duration, Duration) {
    let started = Instant::now();
    let request = GenerateRequest::new("mock/m", vec![Message::user("x".repeat(1000))]);
    let call =
        Call { request, request_id: new_id(&SystemClock), dialect: "native", streamed: true };
    let mut answer = books.front.gateway.run(caller, call).await.unwrap();
    let mut told = Instant::now();
    let mut last = None;
    while let Some(event) = answer.events.next().await {
        let event = event.unwrap();
        if !matches!(event, StreamEvent::Finish { .. }) {
            told = Instant::now();
        }
        last = Some(event);
    }
    assert!(matches!(last, Some(StreamEvent::Finish { .. })));
    (started.elapsed(), told.elapsed())
}

/// Holds that are placed and given back, and the median time until one is durable. A database that
/// is asked for more than it can do within a second refuses some, which do not count.
pub async fn holds(books: &Books, calls: usize, at_once: usize) -> (f64, Duration) {
    let started = Instant::now();
    let times: Vec<Option<Duration>> = futures_util::stream::iter(0..calls)
        .map(|n| hold(books, &books.callers[n % books.callers.len()]))
        .buffer_unordered(at_once)
        .collect()
        .await;
    let mut times: Vec<Duration> = times.into_iter().flatten().collect();
    let per_second = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort_unstable();
    (per_second, times[times.len() / 2])
}

async fn hold(books: &Books, caller: &Arc<Caller>) -> Option<Duration> {
    let gateway = &books.front.gateway;
    let target = Target { provider: "mock".to_owned(), model: "m".to_owned() };
    let permit = authorize(caller, vec![target], &[]).unwrap();
    let bound = Bound {
        input_tokens: 1_000,
        max_output: 1_000,
        min_output: 1,
        likely_input: 250,
        in_process: false,
    };
    let order = Order {
        request_id: new_id(&SystemClock),
        asked_model: "mock/m".to_owned(),
        dialect: "native",
        streamed: true,
        tags: BTreeMap::new(),
    };
    let started = Instant::now();
    let quote = quote(&gateway.prices.current(), permit, bound);
    let held = gateway.ledger.hold(quote, order).await;
    held.ok().map(|_| started.elapsed())
}

/// The run in the middle.
pub fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    runs[runs.len() / 2]
}

/// Time that all threads of a process have had on a processor: user and system, in hundredths of a
/// second (`proc_pid_stat(5)`). Nothing of one that has gone.
fn processor(pid: &str) -> Duration {
    let fields = stat(pid);
    let ticks = |field: usize| fields.get(field).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

fn stat(pid: &str) -> Vec<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map(|(_, after)| after).unwrap_or_default();
    after.split_whitespace().map(str::to_owned).collect()
}

/// Processor time of a process and its living children.
fn family(parent: u32) -> Duration {
    let parent = parent.to_string();
    let children = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid = entry.file_name().into_string().ok()?;
        (stat(&pid).get(1) == Some(&parent)).then(|| processor(&pid))
    });
    processor(&parent) + children.sum::<Duration>()
}
