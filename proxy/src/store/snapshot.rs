//! The books as they stand at one moment, however long it takes to read them.
//!
//! A transaction that only reads: everything in it is of the same moment, while servers go on
//! writing beside it. Rows come one by one, so that a table of any size fits.

use super::{
    Share, Store, StoreError, WindowKey,
    books::read_shares,
    engine::{Engine, Link, Text, on},
};
use futures_util::TryStreamExt;
use sqlx::FromRow;

/// The books of one moment.
#[derive(Debug)]
pub struct Snapshot {
    link: Link,
}

/// The counters of a window.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct WindowRow {
    /// The budget.
    pub budget_id: String,
    /// Where it begins.
    pub start_ms: i64,
    /// Settled.
    pub spent: i64,
    /// Set aside for running requests.
    pub held: i64,
    /// The part of `spent` that no entry shows any more.
    pub archived: i64,
    /// 1 when all of these are whole numbers; SQLite stores what it is given.
    pub whole: i64,
}

impl WindowRow {
    /// The window's name.
    pub fn key(&self) -> WindowKey {
        WindowKey { budget_id: self.budget_id.as_str().into(), start_ms: self.start_ms }
    }
}

const WINDOWS: Text = Text {
    sqlite: "select budget_id, start_ms, cast(spent as bigint) as spent,
                    cast(held as bigint) as held, cast(archived as bigint) as archived,
                    case when typeof(spent) = 'integer' and typeof(held) = 'integer'
                              and typeof(archived) = 'integer' then 1 else 0 end as whole
             from budget_windows",
    postgres: "select budget_id, start_ms, spent, held, archived, cast(1 as bigint) as whole
               from budget_windows",
};

impl Store {
    /// Begins to read, on a connection of its own.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.catch_up().await?;
        let mut link = self.options.connect().await?;
        let statements: &[&'static str] = match &link {
            Engine::Sqlite(_) => &["begin deferred"],
            Engine::Postgres(_) => &[
                "begin isolation level repeatable read read only",
                // It may be idle while what it found is repaired.
                "set local idle_in_transaction_session_timeout = 0",
            ],
        };
        for statement in statements {
            on!(&mut link, db => sqlx::query(*statement).execute(&mut *db).await.map(drop))?;
        }
        let mut snapshot = Snapshot { link };
        // SQLite's moment is that of the first read.
        snapshot.count_windows().await?;
        Ok(snapshot)
    }
}

impl Snapshot {
    /// How many windows there are.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn count_windows(&mut self) -> Result<i64, StoreError> {
        self.count("select count(*) from budget_windows").await
    }

    /// How many entries charged something.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn count_charged(&mut self) -> Result<i64, StoreError> {
        self.count("select count(*) from usage_entries where charges <> '[]'").await
    }

    /// Reads every window.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn each_window(&mut self, mut each: impl FnMut(WindowRow)) -> Result<(), StoreError> {
        let text = self.link.text(WINDOWS);
        on!(&mut self.link, db => {
            let mut rows = sqlx::query_as(text).fetch(&mut *db);
            while let Some(row) = rows.try_next().await? {
                each(row);
            }
        });
        Ok(())
    }

    /// Reads what every open hold has set aside: its id, and its shares or why they cannot be read.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn each_hold(
        &mut self,
        mut each: impl FnMut(String, Result<Vec<Share>, StoreError>),
    ) -> Result<(), StoreError> {
        let text = "select id, shares from holds";
        on!(&mut self.link, db => {
            let mut rows = sqlx::query_as::<_, (String, String)>(text).fetch(&mut *db);
            while let Some((id, shares)) = rows.try_next().await? {
                each(id, read_shares(&shares));
            }
        });
        Ok(())
    }

    /// Reads what every entry has charged: its request, and its charges or why they cannot be
    /// read. The whole table.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn each_charge(
        &mut self,
        mut each: impl FnMut(String, Result<Vec<Share>, StoreError>),
    ) -> Result<(), StoreError> {
        let text = "select request_id, charges from usage_entries where charges <> '[]'";
        on!(&mut self.link, db => {
            let mut rows = sqlx::query_as::<_, (String, String)>(text).fetch(&mut *db);
            while let Some((request_id, charges)) = rows.try_next().await? {
                each(request_id, read_shares(&charges));
            }
        });
        Ok(())
    }

    async fn count(&mut self, text: &'static str) -> Result<i64, StoreError> {
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text).fetch_one(&mut *db).await)?)
    }
}
