//! The books of an installation as they stand in its database, read past the server.

use super::Install;
use serde_json::Value;
use sqlx::{PgPool, SqlitePool, sqlite::SqliteConnectOptions};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::sync::watch;

/// The database behind servers, opened a second time.
#[derive(Clone, Debug)]
pub enum Books {
    /// Of one server.
    Sqlite(SqlitePool),
    /// Of several.
    Postgres(PgPool),
}

/// An entry, by what proves something.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Tollgate's id of the request.
    pub request_id: String,
    /// What ended it.
    pub disposition: String,
    /// The number that the caller gave it, see [`super::Api::numbered`].
    pub number: Option<u64>,
    /// What it charged: budget, start of the window, amount.
    pub charges: Vec<(String, i64, i64)>,
}

/// A window of a budget: budget, start, spent, held.
type Line = (String, i64, i64, i64);

macro_rules! rows {
    ($books:expr, $text:expr) => {
        match $books {
            Books::Sqlite(pool) => sqlx::query_as($text).fetch_all(pool).await,
            Books::Postgres(pool) => sqlx::query_as($text).fetch_all(pool).await,
        }
    };
}

impl Books {
    /// Those of an installation with a file.
    pub async fn of_file(install: &Install) -> Self {
        let options = SqliteConnectOptions::new().filename(install.path("data/tollgate.db"));
        Self::Sqlite(SqlitePool::connect_with(options).await.unwrap())
    }

    /// Those behind a URL.
    pub async fn of_postgres(url: &str) -> Self {
        Self::Postgres(PgPool::connect(url).await.unwrap())
    }

    /// Waits until the tables say what the ledger has decided: on SQLite they follow in a moment.
    async fn present(&self) {
        let Self::Sqlite(_) = self else { return };
        for _ in 0..400 {
            let waiting: Vec<(i64,)> = rows!(self, "select count(*) from journal").unwrap();
            if waiting[0].0 == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs statements, one after the other.
    pub async fn run(&self, text: &'static str) {
        match self {
            Self::Sqlite(pool) => drop(sqlx::raw_sql(text).execute(pool).await.unwrap()),
            Self::Postgres(pool) => drop(sqlx::raw_sql(text).execute(pool).await.unwrap()),
        }
    }

    /// Sets the cap of a budget so far above what it has spent and holds.
    pub async fn allow(&self, budget: &str, more: i64) {
        self.present().await;
        let text = "update budgets set cap = $1 + coalesce(
                        (select sum(spent + held) from budget_windows where budget_id = $2), 0)
                    where id = $2";
        match self {
            Self::Sqlite(pool) => {
                sqlx::query(text).bind(more).bind(budget).execute(pool).await.unwrap();
            }
            Self::Postgres(pool) => {
                sqlx::query(text).bind(more).bind(budget).execute(pool).await.unwrap();
            }
        }
    }

    /// The sessions in which servers move money, by their processes' numbers. PostgreSQL only.
    pub async fn sessions_of_ledgers(&self) -> BTreeSet<i32> {
        let text = "select pid from pg_stat_activity
                    where application_name like 'tollgate ledger%' and datname = current_database()";
        let rows: Vec<(i32,)> = rows!(self, text).unwrap();
        rows.into_iter().map(|(process,)| process).collect()
    }

    /// Every entry.
    pub async fn entries(&self) -> Vec<Entry> {
        self.present().await;
        let text = "select request_id, disposition, tags, charges from usage_entries
                    order by request_id, attempt";
        let rows: Vec<(String, String, String, String)> = rows!(self, text).unwrap();
        let entry = |(request_id, disposition, tags, charges): (_, _, String, String)| {
            let tags: Value = serde_json::from_str(&tags).unwrap();
            let number = tags["number"].as_str().and_then(|number| number.parse().ok());
            let charges = serde_json::from_str(&charges).unwrap();
            Entry { request_id, disposition, number, charges }
        };
        rows.into_iter().map(entry).collect()
    }

    /// How many holds are open.
    pub async fn open_holds(&self) -> i64 {
        self.present().await;
        let rows: Vec<(i64,)> = rows!(self, "select count(*) from holds").unwrap();
        rows[0].0
    }

    async fn windows(&self) -> Vec<Line> {
        self.present().await;
        rows!(self, "select budget_id, start_ms, spent, held from budget_windows").unwrap()
    }

    /// Looks again and again until it is told to stop, or the database is not there. Returns how
    /// often it looked.
    ///
    /// # Panics
    /// When more is spent and held than a budget's cap, or a counter is negative.
    pub async fn watch(self, stop: watch::Receiver<bool>) -> usize {
        let text = "select w.budget_id, w.start_ms, w.spent, w.held from budget_windows w
                    join budgets b on b.id = w.budget_id
                    where w.spent + w.held > b.cap or w.spent < 0 or w.held < 0";
        let mut looks = 0;
        while !*stop.borrow() {
            let read: Result<Vec<Line>, _> = rows!(&self, text);
            if let Ok(over) = read {
                assert!(over.is_empty(), "a cap was passed: {over:?}");
                looks += 1;
            }
            tokio::task::yield_now().await;
        }
        looks
    }

    /// Asserts that nothing is held, and that every budget has spent what the entries charged to it.
    pub async fn balance(&self) {
        assert_eq!(self.open_holds().await, 0, "holds are open");
        let mut charged: BTreeMap<(String, i64), i64> = BTreeMap::new();
        for (budget, start, amount) in self.entries().await.into_iter().flat_map(|e| e.charges) {
            *charged.entry((budget, start)).or_default() += amount;
        }
        for (budget, start, spent, held) in self.windows().await {
            assert_eq!(held, 0, "the budget {budget} still holds something");
            let charged = charged.remove(&(budget.clone(), start)).unwrap_or_default();
            assert_eq!(spent, charged, "what the budget {budget} has spent, and the entries' sum");
        }
        assert!(charged.is_empty(), "charged to windows that are not there: {charged:?}");
    }
}
