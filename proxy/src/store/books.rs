//! The ledger's own connection: holds, window counters and entries in one transaction.
//!
//! Every statement here reads or writes as many rows as a whole batch needs. The rows travel as one
//! parameter of JSON, so the text of a statement never depends on how many there are.

mod holds;
mod json;
mod windows;

pub use holds::{NewHold, OpenHold, Share};
pub use windows::{ChargedBudget, Found, Owner, WindowChange, WindowKey};

use super::{EntryRow, StoreError};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

/// The one connection that moves money. Callers put statements between `begin` and `commit`.
#[derive(Debug)]
pub struct Books {
    connection: SqliteConnection,
    options: SqliteConnectOptions,
}

/// What a request costs the budgets it was charged to, one amount per resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Nano-dollars.
    pub cost: i64,
    /// Tokens of every kind.
    pub tokens: i64,
    /// 1, or 0 when the request does not count.
    pub requests: i64,
}

impl Books {
    pub(super) fn new(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        Self { connection, options }
    }

    /// Begins a transaction with the write lock taken.
    ///
    /// # Errors
    /// `Busy` when another process has it for too long.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.run("begin immediate").await
    }

    /// Makes everything since `begin` durable.
    ///
    /// # Errors
    /// Any database failure; then nothing since `begin` counts.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("commit").await
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Leaves a failed transaction; opens a new connection when the old one is beyond repair.
    pub async fn recover(&mut self) {
        let left = self.run("rollback").await.is_ok() || self.run("select 1").await.is_ok();
        if !left && let Ok(fresh) = SqliteConnection::connect_with(&self.options).await {
            self.connection = fresh;
        }
    }

    /// Records what requests used. A second entry of the same request and attempt is ignored.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_entries(&mut self, entries: &[&EntryRow]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        EntryRow::insert_all(&json::text(entries)?, &mut self.connection).await
    }
}

#[cfg(test)]
mod tests;
