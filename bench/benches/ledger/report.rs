//! How the figures are printed.

use super::load::Run;
use std::time::Duration;

/// What the figures were taken under.
pub fn conditions(rounds: usize) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!(
        "medians of {rounds} interleaved rounds, {cores} cores, load {load} before; the path of a \
         request without sockets, 1 KB prompt, provider in this process"
    )
}

/// One run beside the one without a ledger.
pub fn line(name: &str, run: &Run, off: &Run) -> String {
    let added = run.processor.saturating_sub(off.processor);
    let database = match run.database {
        Duration::ZERO => String::new(),
        time => format!(" + {time:.1?} of the database"),
    };
    format!(
        "{name:<11}{:>8.0} calls/s (x{:.2})  p50 {:>8.2?}  p99 {:>8.2?}  settled in {:>8.2?}  \
         processor {:>8.1?} a call, {added:>8.1?} more than off{database}",
        run.per_second,
        run.per_second / off.per_second,
        run.p50,
        run.p99,
        run.settle,
        run.processor,
    )
}

/// Holds that were placed and released.
pub fn holds(name: &str, (per_second, p50): &(f64, Duration)) -> String {
    format!("{name:<11}{per_second:>8.0} holds/s, durable after {p50:.2?} (p50)")
}
