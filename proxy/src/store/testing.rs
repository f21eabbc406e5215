//! Stores for tests, each on either engine, and what tests do behind the ledger's back.

use super::{Books, Patience, Place, Share, Store, StoreError, books::shares_of, engine::on};
use sqlx::{AssertSqlSafe, Row};
use std::collections::BTreeMap;
pub(crate) use tollgate_bench::{
    on_both_engines,
    private::{Home, Kind},
};

/// A new store; it is gone with its home.
pub(crate) async fn store_on(kind: Kind) -> (Home, Store) {
    let home = Home::fresh(kind).await.unwrap();
    let store = open_again(&home).await;
    (home, store)
}

/// Another store over the same books, as another server would open.
pub(crate) async fn open_again(home: &Home) -> Store {
    Store::open(place_of(home), Patience::Server).await.unwrap()
}

pub(crate) fn place_of(home: &Home) -> Place {
    match home {
        Home::Sqlite(folder) => Place::File(folder.path().join("books.db")),
        Home::Postgres(database) => Place::Server { url: database.url(), connections: 8 },
    }
}

impl Store {
    /// Does what only somebody else's hand would do. Returns how many rows it changed.
    pub(crate) async fn tamper(&self, statement: &str) -> u64 {
        self.catch_up().await.unwrap();
        let statement = AssertSqlSafe(statement.to_owned());
        on!(&self.pool, db => sqlx::query(statement).execute(db).await.unwrap().rows_affected())
    }

    /// The one number that a statement comes to.
    pub(crate) async fn number(&self, statement: &str) -> i64 {
        self.catch_up().await.unwrap();
        let statement = AssertSqlSafe(statement.to_owned());
        on!(&self.pool, db => sqlx::query(statement).fetch_one(db).await.unwrap().get(0))
    }

    /// A server is taken for dead from now on, until it says that it lives.
    pub(crate) async fn declare_dead(&self, node: &str) {
        let statement = format!("update nodes set expires_ms = 1 where id = '{node}'");
        assert_eq!(self.tamper(&statement).await, 1, "no server {node}");
    }
}

impl Books {
    /// Runs a statement of the test's own on the connection that moves money.
    pub(crate) async fn tamper(&mut self, statement: &str) {
        self.try_to(statement).await.unwrap();
    }

    /// The one number that a statement comes to.
    pub(crate) async fn number(&mut self, statement: &str) -> i64 {
        let statement = AssertSqlSafe(statement.to_owned());
        on!(&mut self.link, db => {
            sqlx::query(statement).fetch_one(&mut *db).await.unwrap().get(0)
        })
    }

    /// The same, where it may fail.
    pub(crate) async fn try_to(&mut self, statement: &str) -> Result<(), StoreError> {
        let statement = AssertSqlSafe(statement.to_owned());
        on!(&mut self.link, db => sqlx::query(statement).execute(&mut *db).await.map(drop))?;
        Ok(())
    }
}

/// Counters by budget and start of the window: spent and held.
pub(crate) type Windows = BTreeMap<(String, i64), (i64, i64)>;

impl Store {
    /// All windows, as they stood at one moment.
    pub(crate) async fn all_windows(&self) -> Windows {
        self.catch_up().await.unwrap();
        let text = "select budget_id, start_ms, spent, held from budget_windows";
        let rows: Vec<(String, i64, i64, i64)> =
            on!(&self.pool, db => sqlx::query_as(text).fetch_all(db).await.unwrap());
        rows.into_iter().map(|(id, start, spent, held)| ((id, start), (spent, held))).collect()
    }

    /// How many windows of hard budgets had more spent and held than their cap at one moment.
    pub(crate) async fn overspent(&self) -> i64 {
        let text = "select count(*) from budget_windows w join budgets b on b.id = w.budget_id
                    where b.enforcement = 'hard' and w.spent + w.held > b.cap + b.raise_amount";
        self.number(text).await
    }

    /// Whether nothing moves any more, every counter is what open holds and entries come to, and
    /// the sums of hours count every entry once.
    pub(crate) async fn assert_agrees(&self, case: &str) {
        self.catch_up().await.unwrap();
        let mut counted = Windows::new();
        let spent: Vec<(String,)> = on!(&self.pool, db => {
            sqlx::query_as("select charges from usage_entries").fetch_all(db).await.unwrap()
        });
        let held: Vec<(String,)> = on!(&self.pool, db => {
            sqlx::query_as("select shares from holds").fetch_all(db).await.unwrap()
        });
        for (shares, is_spent) in
            spent.iter().map(|row| (row, true)).chain(held.iter().map(|row| (row, false)))
        {
            for Share { window, amount } in shares_of(&shares.0) {
                let counters =
                    counted.entry((window.budget_id.to_string(), window.start_ms)).or_default();
                *(if is_spent { &mut counters.0 } else { &mut counters.1 }) += amount;
            }
        }
        let mut windows = self.all_windows().await;
        windows.retain(|_, counters| *counters != (0, 0));
        counted.retain(|_, counters| *counters != (0, 0));
        assert_eq!(windows, counted, "{case}: counters, and what holds and entries come to");
        let text = "select cast(coalesce(sum(requests), 0) as bigint) from usage_rollups
                    where tag = ''";
        let entries = i64::try_from(spent.len()).unwrap();
        assert_eq!(self.number(text).await, entries, "{case}: sums of hours, and entries");
    }
}
