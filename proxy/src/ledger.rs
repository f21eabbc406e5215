//! Quotas that are hard and metering that survives anything.
//!
//! A call passes through three types, each made only by the one before: [`Quote`] (an upper bound)
//! becomes a [`Hold`] (money set aside in every budget, durably) becomes a [`Meter`] (counts, and
//! settles). Each of them leaves the books right when it is merely dropped.
//!
//! Read next: `writer` (the one task that moves money), `page` (where it decides), then `meter`.

mod batch;
mod hold;
mod meter;
mod outcome;
mod page;
pub mod report;
mod status;
mod sweep;
mod window;
mod writer;

pub use hold::{Hold, HoldError, Order};
pub use meter::{Flow, Meter};
pub use outcome::{Disposition, Outcome};
pub use window::{Bounds, bounds};

use crate::{
    access::Caller,
    clock::Clock,
    ids::new_id,
    prices::Quote,
    store::{Store, StoreError},
    tasks::Tasks,
};
use std::sync::Arc;
use tokio::sync::mpsc;
use tollgate_types::BudgetStatus;

/// Messages that may wait for the writer. Every running call has one of them reserved for its
/// end, so this also bounds how many calls can be open.
const QUEUE: usize = 16_384;

/// The books of all budgets.
#[derive(Clone, Debug)]
pub struct Ledger {
    queue: mpsc::Sender<writer::Message>,
    store: Store,
    clock: Arc<dyn Clock>,
    node: Arc<str>,
}

impl Ledger {
    /// Opens the books: settles what a server that died left open, then starts the writer.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn open(
        store: Store,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> Result<Self, StoreError> {
        let mut books = store.books().await?;
        let swept = sweep::sweep(&mut books, clock.as_ref()).await?;
        if swept > 0 {
            tracing::warn!(holds = swept, "settled holds that a stopped server had left open");
        }
        let node = Arc::from(new_id(clock.as_ref()));
        let (queue, messages) = mpsc::channel(QUEUE);
        tasks.spawn(writer::run(books, messages, Arc::clone(&clock), tasks.clone()));
        Ok(Self { queue, store, clock, node })
    }

    /// Sets aside what a call may cost, in every budget of its caller or in none. A budget that
    /// cannot pay for the longest answer shortens it; see [`Hold::max_output`].
    ///
    /// # Errors
    /// When a budget cannot pay for the shortest answer, or the database does not answer.
    pub async fn hold(&self, quote: Quote, order: Order) -> Result<Hold, HoldError> {
        hold::place(self, quote, order).await
    }

    /// The budgets that a caller is charged to, as they stand.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budgets_of(&self, caller: &Caller) -> Result<Vec<BudgetStatus>, StoreError> {
        let rows = self.store.budgets(Some(caller.user_id()), Some(caller.key_id())).await?;
        status::of_rows(&self.store, rows, self.clock.now_ms()).await
    }

    /// Every budget, as it stands.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budgets(&self) -> Result<Vec<BudgetStatus>, StoreError> {
        let rows = self.store.budgets(None, None).await?;
        status::of_rows(&self.store, rows, self.clock.now_ms()).await
    }
}

pub use status::of_rows as budget_statuses;

#[cfg(test)]
mod tests;
