//! The ledger's own connection: holds, window counters and entries in one transaction.
//!
//! Every statement here reads or writes as many rows as a whole batch needs. The rows travel as one
//! parameter of JSON, so the text of a statement never depends on how many there are.

mod at_once;
mod fence;
mod holds;
mod journal;
pub(super) mod json;
mod rollups;
mod sums;
mod windows;

pub use holds::{NewHold, OpenHold, Share};
pub(super) use holds::{read_shares, shares_of, shares_text};
pub use journal::{Changes, Pending};
pub use rollups::{RollupKey, RollupRow};
pub use sums::{HOUR_MS, Sums, add_entry, hour_of};
pub use windows::{ChargedBudget, Found, Owner, WindowChange, WindowKey};

use super::{
    NewEntry, StoreError,
    engine::{Engine, Link, on},
    open::Options,
    turns::{Turn, Turns},
};
use fence::Backend;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

/// The one connection that moves money. Callers put statements between `begin` and `commit`.
#[derive(Debug)]
pub struct Books {
    pub(super) link: Link,
    backend: Option<Backend>,
    options: Options,
    commits: u64,
    wanted: Arc<Notify>,
    /// The connection is of no use any more; the next transaction begins with a new one.
    lost: bool,
    turns: Turns,
    /// While a transaction is open in SQLite.
    turn: Option<Turn>,
}

/// How long a new connection may take, and the end of the lost one. Callers do not wait for it: they
/// have a shorter patience of their own. A try that is broken off is work done in vain, and a server
/// that is only busy never gets through if its tries are too short.
const CONNECT: Duration = Duration::from_secs(2);
/// How often it is asked whether the lost one is gone.
const GONE: Duration = Duration::from_millis(10);
/// How long leaving a failed transaction may take.
const LEAVE: Duration = Duration::from_millis(700);

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

/// An entry together with what it charged to which window.
#[derive(Clone, Debug)]
pub struct Booking {
    /// The entry.
    pub entry: Arc<NewEntry>,
    /// What it charged.
    pub charges: Vec<Share>,
}

impl Books {
    pub(super) async fn open(
        options: Options,
        turns: Turns,
        wanted: Arc<Notify>,
    ) -> Result<Self, StoreError> {
        let mut link = options.connect().await?;
        let backend = Backend::of(&mut link).await?;
        Ok(Self { link, backend, options, commits: 0, wanted, lost: false, turns, turn: None })
    }

    /// Begins a transaction, in SQLite with the write lock taken.
    ///
    /// # Errors
    /// `Busy` when another process has it for too long.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.reconnect().await?;
        let statement = match &self.link {
            Engine::Sqlite(_) => {
                self.turn = None;
                self.turn = Some(self.turns.take().await?);
                "begin immediate"
            }
            // Whatever the operator's default is: a row that was waited for must be read anew.
            Engine::Postgres(_) => "begin isolation level read committed",
        };
        let begun = self.run(statement).await;
        if begun.is_err() {
            self.turn = None;
        }
        begun
    }

    /// A number that another connection's writing changes, asked within a transaction. PostgreSQL
    /// has none.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn version(&mut self) -> Result<Option<i64>, StoreError> {
        match &mut self.link {
            Engine::Sqlite(link) => {
                Ok(Some(sqlx::query_scalar("pragma data_version").fetch_one(link).await?))
            }
            Engine::Postgres(_) => Ok(None),
        }
    }

    /// Makes everything since `begin` durable.
    ///
    /// # Errors
    /// Any database failure; then nothing since `begin` counts, or nobody knows.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.commits = self.commits.wrapping_add(1);
        self.run("commit").await?;
        self.turn = None;
        Ok(())
    }

    /// How many transactions were to be made durable so far.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Told when somebody in this process wants to see the present in the tables.
    pub fn wanted(&self) -> Arc<Notify> {
        Arc::clone(&self.wanted)
    }

    /// Takes everything since `begin` back.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn rollback(&mut self) -> Result<(), StoreError> {
        self.run("rollback").await?;
        self.turn = None;
        Ok(())
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        on!(&mut self.link, db => sqlx::query(statement).execute(&mut *db).await.map(drop))?;
        Ok(())
    }

    /// Leaves a failed transaction; the next one begins with a new connection when this one is
    /// beyond repair.
    pub async fn recover(&mut self) {
        let left = tokio::time::timeout(LEAVE, async {
            self.run("rollback").await.is_ok() || self.run("select 1").await.is_ok()
        });
        let left = left.await.unwrap_or(false);
        self.lost |= !left;
        self.turn = None;
    }

    /// A statement was left in the middle: nobody knows what the connection says next.
    pub fn abandon(&mut self) {
        self.lost = true;
    }

    /// Opens a new connection in place of a lost one, once nothing is left of that.
    ///
    /// # Errors
    /// When the database does not answer, or is not done with the lost connection.
    pub async fn reconnect(&mut self) -> Result<(), StoreError> {
        if !self.lost {
            return Ok(());
        }
        let fresh = tokio::time::timeout(CONNECT, self.replacement()).await;
        (self.link, self.backend) = fresh.map_err(|_| StoreError::silent())??;
        self.lost = false;
        Ok(())
    }

    async fn replacement(&self) -> Result<(Link, Option<Backend>), StoreError> {
        let mut link = self.options.connect().await?;
        if let Some(lost) = &self.backend {
            while !lost.end(&mut link).await? {
                tokio::time::sleep(GONE).await;
            }
        }
        let backend = Backend::of(&mut link).await?;
        Ok((link, backend))
    }

    /// Records what requests used. A second entry of the same request and attempt is ignored.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_entries(&mut self, bookings: &[Booking]) -> Result<(), StoreError> {
        if bookings.is_empty() {
            return Ok(());
        }
        NewEntry::insert_all(bookings, &mut self.link).await
    }
}

#[cfg(test)]
mod tests;
