//! What the books cost by themselves: one durable hold and one durable end for every call, with no
//! HTTP and no model around them. Medians of several runs, on the disk of the target folder. The
//! processor's time for a call is the figure that other programs on the machine disturb least.
//! An argument that is a number keeps to the load with so many calls at once.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints rates, and stops where it cannot go on"
)]

use futures_util::StreamExt;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tollgate::{
    access::{Access, Caller, KeyOrder, Permissions, Role, Target, authorize, issue_key},
    clock::{Clock, SystemClock},
    config::PriceEntry,
    ids::new_id,
    ledger::{Disposition, Ledger, Order, Outcome},
    prices::{Bound, PriceList, Quote, quote},
    store::{BudgetRow, KeyRow, Patience, Store, UserRow},
    tasks::Tasks,
};
use tollgate_types::Usage;

/// Odd, so that there is a middle one.
const RUNS: usize = 5;

/// Calls of one run, and how many of them are open at once.
const LOADS: [(usize, usize); 3] = [(500, 1), (8_000, 64), (16_000, 512)];

/// Keys that call.
const CALLERS: usize = 512;

/// Keys in the books that holds ten thousand budgets, three for each key.
const MANY_KEYS: usize = 3_334;

struct Books {
    ledger: Ledger,
    prices: PriceList,
    callers: Vec<Arc<Caller>>,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

struct Run {
    per_second: f64,
    p50: Duration,
    p99: Duration,
    processor: Duration,
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` only asks whether this builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let only: Option<usize> = std::env::args().find_map(|argument| argument.parse().ok());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{RUNS} runs each, {cores} cores; a call is a durable hold and a durable end");
    for (name, callers, keys) in
        [("one key, 3 budgets", 1, 1), ("512 of 3334 keys, 10002 budgets", CALLERS, MANY_KEYS)]
    {
        let books = Books::open(callers, keys).await;
        println!("\n{name}");
        for (calls, at_once) in LOADS {
            if only.is_some_and(|only| only != at_once) {
                continue;
            }
            books.run(calls / 4, at_once).await;
            let mut runs = Vec::new();
            for _ in 0..RUNS {
                runs.push(books.run(calls, at_once).await);
            }
            report(at_once, runs);
        }
        books.tasks.drain(Duration::from_secs(10)).await;
    }
}

impl Books {
    /// Books with so many keys, the first of which call.
    async fn open(callers: usize, keys: usize) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = Store::open(&folder.path().join("books.db"), Patience::Server).await.unwrap();
        let clock = Arc::new(SystemClock);
        let user = UserRow {
            id: new_id(&SystemClock),
            name: "bench".to_owned(),
            role: "member".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            permissions: "{}".to_owned(),
            created_ms: clock.now_ms(),
            ..UserRow::default()
        };
        store.insert_user(&user, &[]).await.unwrap();
        let access = Access::new(store.clone(), clock.clone()).unwrap();
        let mut known = Vec::with_capacity(callers);
        for _ in 0..callers {
            let key = issue_key(&store, &SystemClock, &user, key_order()).await.unwrap();
            known.push(access.authenticate(Some(key.key.expose())).await.unwrap());
        }
        for _ in callers..keys {
            idle_key(&store, &user).await;
        }
        let tasks = Tasks::new();
        let ledger = Ledger::open(store, clock, &tasks, Duration::from_secs(30)).await.unwrap();
        let price = PriceEntry {
            model: "p/*".to_owned(),
            input: "1".to_owned(),
            output: "2".to_owned(),
            ..PriceEntry::default()
        };
        let prices = PriceList::new(&[price]).unwrap();
        Self { ledger, prices, callers: known, tasks, _folder: folder }
    }

    async fn run(&self, calls: usize, at_once: usize) -> Run {
        let (started, before) = (Instant::now(), processor());
        let mut times: Vec<Duration> = futures_util::stream::iter(0..calls)
            .map(|n| self.call(&self.callers[n % self.callers.len()]))
            .buffer_unordered(at_once)
            .collect()
            .await;
        let seconds = started.elapsed().as_secs_f64();
        let processor = (processor() - before) / u32::try_from(calls).unwrap();
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        Run { per_second: calls as f64 / seconds, p50: at(50), p99: at(99), processor }
    }

    async fn call(&self, caller: &Arc<Caller>) -> Duration {
        let started = Instant::now();
        let hold = self.ledger.hold(self.quote(caller), order()).await.unwrap();
        let outcome = Outcome::new(Disposition::Settled, Usage::tokens(200, 16));
        hold.sent().settle(outcome).await.unwrap();
        started.elapsed()
    }

    fn quote(&self, caller: &Arc<Caller>) -> Quote {
        let target = Target { provider: "p".to_owned(), model: "m".to_owned() };
        let permit = authorize(caller, vec![target], &[]).unwrap();
        let bound = Bound {
            input_tokens: 1_000,
            max_output: 1_000,
            min_output: 1,
            likely_input: 250,
            in_process: false,
        };
        quote(&self.prices, permit, bound)
    }
}

fn order() -> Order {
    Order {
        request_id: new_id(&SystemClock),
        asked_model: "p/m".to_owned(),
        dialect: "native",
        streamed: true,
        tags: BTreeMap::new(),
    }
}

fn budgets() -> Vec<BudgetRow> {
    let budget = |resource: &str| BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        owner_id: String::new(),
        resource: resource.to_owned(),
        span: "month".to_owned(),
        cap: i64::MAX / 4,
        ..BudgetRow::default()
    };
    vec![budget("cost"), budget("tokens"), budget("requests")]
}

fn key_order() -> KeyOrder {
    KeyOrder {
        name: "bench".to_owned(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: budgets(),
    }
}

/// A key that nobody calls with: its secret is the hash of nothing.
async fn idle_key(store: &Store, user: &UserRow) {
    let row = KeyRow {
        id: new_id(&SystemClock),
        user_id: user.id.clone(),
        name: "idle".to_owned(),
        role: "member".to_owned(),
        secret_hash: String::new(),
        permissions: "{}".to_owned(),
        rate_per_minute: None,
        created_ms: SystemClock.now_ms(),
        expires_ms: None,
        ..KeyRow::default()
    };
    let mut budgets = budgets();
    budgets.iter_mut().for_each(|budget| budget.owner_id.clone_from(&row.id));
    store.insert_key(&row, &budgets).await.unwrap();
}

/// Time that all threads of this process have had on a processor: user and system, in hundredths
/// of a second (`proc_pid_stat(5)`).
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |field: usize| fields[field].parse::<u64>().unwrap();
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

fn report(at_once: usize, mut runs: Vec<Run>) {
    runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    let (slowest, middle, fastest) = (&runs[0], &runs[RUNS / 2], &runs[RUNS - 1]);
    println!(
        "  {at_once:>4} at once {:>8.0} calls/s ({:.0} to {:.0})   p50 {:>8.2?}   p99 {:>8.2?}   processor {:>8.2?}",
        middle.per_second,
        slowest.per_second,
        fastest.per_second,
        middle.p50,
        middle.p99,
        middle.processor
    );
}
