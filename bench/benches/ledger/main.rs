//! What exact, durable budgets cost: the whole path of a request inside one process, with a
//! provider that answers at once, while the ledger is off, on SQLite and on PostgreSQL.
//!
//! Every figure of a block comes from the same process and interleaved rounds; medians. The
//! processor's time for a call (this process, all threads; PostgreSQL's own processes beside it) is
//! the figure that other programs on the machine disturb least. Arguments: a number keeps to the
//! load with so many calls at once, `sqlite` or `postgres` to that engine.
#![expect(
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark prints rates, and stops where it cannot go on"
)]

mod books;
mod load;
mod report;

use books::{Books, Crowd, Engine, durable_server};
use load::Run;
use mimalloc::MiMalloc;

/// The server's own.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Odd, so that there is a middle one.
const ROUNDS: usize = 5;

/// Calls of one run, and how many of them are open at once.
const LOADS: [(usize, usize); 3] = [(500, 1), (8_000, 64), (16_000, 512)];

const CROWDS: [Crowd; 2] = [
    Crowd { name: "one key with 3 budgets, all hot", callers: 1, keys: 1 },
    Crowd { name: "512 of 3334 keys, 10002 budgets", callers: 512, keys: 3_334 },
];

#[tokio::main]
async fn main() {
    // `cargo test --benches` only asks whether this builds and starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let only: Option<usize> = std::env::args().find_map(|argument| argument.parse().ok());
    let engines: Vec<Engine> =
        Engine::ALL.into_iter().filter(|engine| is_asked_for(*engine)).collect();
    let server = durable_server().await;
    println!("{}", report::conditions(ROUNDS));
    for crowd in CROWDS {
        let mut all = Vec::new();
        for engine in &engines {
            all.push(Books::open(*engine, crowd, &server).await);
        }
        println!("\n{}", crowd.name);
        for (calls, at_once) in LOADS {
            if only.is_none_or(|only| only == at_once) {
                measure(&all, calls, at_once, server.id().unwrap()).await;
            }
        }
        for books in all {
            books.close().await;
        }
    }
}

/// `off` is always measured: the others are told as what they add to it.
fn is_asked_for(engine: Engine) -> bool {
    let named = |engine: Engine| {
        std::env::args().any(|argument| argument.eq_ignore_ascii_case(engine.name()))
    };
    let any = Engine::ALL.into_iter().any(named);
    engine == Engine::Off || !any || named(engine)
}

async fn measure(all: &[Books], calls: usize, at_once: usize, postmaster: u32) {
    let mut runs: Vec<Vec<Run>> = all.iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        for (books, runs) in all.iter().zip(&mut runs) {
            let run = load::run(books, calls, at_once, postmaster).await;
            // The first round warms up.
            if round > 0 {
                runs.push(run);
            }
        }
    }
    let medians: Vec<_> = runs.into_iter().map(load::median).collect();
    println!("  {at_once} at once");
    for (books, run) in all.iter().zip(&medians) {
        println!("    {}", report::line(books.engine.name(), run, &medians[0]));
    }
    for books in all.iter().filter(|books| books.engine != Engine::Off) {
        let held = load::holds(books, calls / 2, at_once).await;
        println!("    {}", report::holds(books.engine.name(), &held));
    }
}
