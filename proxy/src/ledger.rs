//! Quotas that are hard and metering that survives anything.
//!
//! A call passes through three types, each made only by the one before: [`Quote`] (an upper bound)
//! becomes a [`Hold`] (money set aside in every budget, durably) becomes a [`Meter`] (counts, and
//! settles). Each of them leaves the books right when it is merely dropped.
//!
//! Read next: `writer` (the one task that moves money), `page` (where it decides), then `meter`.

mod alert;
mod batch;
mod estimate;
mod hold;
mod known;
mod meter;
mod outcome;
mod page;
mod pulse;
pub mod report;
mod rollup;
mod scope;
mod status;
mod sweep;
pub mod upkeep;
mod window;
mod writer;

pub use estimate::Forecast;
pub use hold::{Hold, HoldError, Order};
pub use meter::{Flow, Meter};
pub use outcome::{Disposition, Outcome};
pub use rollup::{RollupDifference, rebuild_rollups, rollups_differ};
pub use sweep::settle_orphans;
pub use window::{Bounds, bounds};

use crate::{
    access::Caller,
    clock::Clock,
    ids::new_id,
    prices::Quote,
    store::{NodeRow, RunChange, Store, StoreError, promptly},
    tasks::Tasks,
};
use pulse::Pulse;
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};
use tollgate_types::BudgetStatus;

/// Messages that may wait for the writer. Every running call has one of them reserved for its
/// end, so this also bounds how many calls can be open.
const QUEUE: usize = 16_384;

/// The books of all budgets.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Absent when the ledger is off.
    queue: Option<mpsc::Sender<writer::Message>>,
    /// Absent also where runs are written beside the books.
    runs: Option<mpsc::Sender<writer::WriteRuns>>,
    store: Store,
    clock: Arc<dyn Clock>,
    node: Arc<String>,
}

impl Ledger {
    /// Opens the books and starts the writer. What a server that died left open is settled: at
    /// once where no other server may use the database, else when it has not been seen for `lease`.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn open(
        store: Store,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
        lease: Duration,
    ) -> Result<Self, StoreError> {
        let mut books = store.books().await?;
        let node = Arc::new(new_id(clock.as_ref()));
        let pulse = if store.is_shared() {
            Some(Pulse::begin(&mut books, this_server(&node, clock.now_ms()), lease).await?)
        } else {
            let swept = sweep::sweep_all(&mut books, clock.as_ref()).await?;
            if swept > 0 {
                tracing::warn!(holds = swept, "settled holds that a stopped server had left open");
            }
            None
        };
        let (queue, messages) = mpsc::channel(QUEUE);
        // One writes runs, a batch at a time.
        let (runs, run_changes) = mpsc::channel(1);
        let runs = books.has_journal().then_some(runs);
        let (clock_of_writer, stop) = (Arc::clone(&clock), tasks.clone());
        let asked = (messages, run_changes);
        tasks.spawn(writer::run((books, pulse), asked, clock_of_writer, stop));
        Ok(Self { queue: Some(queue), runs, store, clock, node })
    }

    /// Books in which nothing is written: no call is held, counted or recorded.
    pub fn off(store: Store, clock: Arc<dyn Clock>) -> Self {
        let node = Arc::new(new_id(clock.as_ref()));
        Self { queue: None, runs: None, store, clock, node }
    }

    /// This server, as others that share the books know it; new at every start.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Whether the others know that this server lives.
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Sets aside what a call may cost, in every budget of its caller or in none. A budget that
    /// cannot pay for the longest answer shortens it; see [`Hold::max_output`].
    ///
    /// # Errors
    /// When a budget cannot pay for the shortest answer, or the database does not answer.
    pub async fn hold(&self, quote: Quote, order: Order) -> Result<Hold, HoldError> {
        hold::place(self, quote, order).await
    }

    /// Changes runs in one transaction on the ledger's own connection: what another connection
    /// writes makes the ledger read its books anew. Returns which of the claims got their key, or
    /// nothing where it has no such connection and the [store](Store::write_runs) is to do it.
    pub async fn write_runs(
        &self,
        changes: Arc<[RunChange]>,
    ) -> Option<Result<Vec<bool>, StoreError>> {
        let (reply, written) = oneshot::channel();
        self.runs.as_ref()?.send(writer::WriteRuns { changes, reply }).await.ok()?;
        Some(written.await.unwrap_or_else(|_| Err(StoreError::silent())))
    }

    /// What [`Ledger::hold`] would come to now. Nothing is set aside.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn forecast(&self, quote: &Quote) -> Result<Forecast, StoreError> {
        estimate::of_quote(self, quote).await
    }

    /// The budgets that a caller is charged to, as they stand.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budgets_of(&self, caller: &Caller) -> Result<Vec<BudgetStatus>, StoreError> {
        promptly(async {
            let rows = self.store.budgets_of(caller.owners()).await?;
            status::of_rows(&self.store, rows, self.clock.now_ms()).await
        })
        .await
    }

    /// Every budget, as it stands.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budgets(&self) -> Result<Vec<BudgetStatus>, StoreError> {
        let rows = self.store.budgets().await?;
        status::of_rows(&self.store, rows, self.clock.now_ms()).await
    }
}

fn this_server(id: &str, started_ms: i64) -> NodeRow {
    NodeRow {
        id: id.to_owned(),
        host: format!("{}:{}", host_name(), std::process::id()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_ms,
        seen_ms: 0,
        expires_ms: 0,
    }
}

/// The machine's name, for people.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

pub use status::{of_new as new_budget_status, of_rows as budget_statuses};

#[cfg(test)]
mod tests;
