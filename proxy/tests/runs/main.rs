//! Runs over a socket: joined again, replayed, cancelled; one call and one charge whatever breaks.
#![cfg(test)]

mod bad;
mod cancel;
mod embed;
mod gate;
mod resume;
mod retry;
mod servers;
mod silence;

use gate::Gate;
use tempfile::TempDir;
use tollgate_bench::Mock;

/// A server over a file of its own.
async fn alone(mock: &Mock, more: &str) -> (TempDir, Gate) {
    let folder = TempDir::new().unwrap();
    let store = format!("sqlite:{}", folder.path().join("t.db").display());
    let gate = Gate::start(mock, &store, more).await;
    (folder, gate)
}

/// The numbers of events, which are to follow each other from the first on.
#[track_caller]
fn assert_numbered(first: u64, events: &[(u64, serde_json::Value)]) {
    let numbers: Vec<u64> = events.iter().map(|(number, _)| *number).collect();
    let expected: Vec<u64> = (first..first + events.len() as u64).collect();
    assert_eq!(numbers, expected);
}

fn type_of(event: &(u64, serde_json::Value)) -> &str {
    event.1["type"].as_str().unwrap()
}
