//! The only SQL in the tree: one file per table family, no rules.
//!
//! One text of SQL serves SQLite and PostgreSQL; `engine` is where they meet. Everything that
//! decides about money goes through [`Books`], which the ledger owns. SQLite runs in WAL mode, so
//! readers never wait for the writer.

mod accounts;
mod alerts;
mod audit;
mod books;
mod budgets;
mod change;
mod correct;
mod engine;
mod entries;
mod error;
mod facts;
mod holds;
mod limits;
mod hours;
mod lock;
mod nodes;
mod open;
mod operations;
mod prices;
mod reports;
mod teams;
mod partitions;
mod retention;
mod runs;
mod snapshot;
mod suspects;
#[cfg(test)]
pub(crate) mod testing;
mod token_keys;
mod tokens;
mod turns;

pub use accounts::{Account, KeyRow, UserRow};
pub use alerts::{AlertRow, NewAlert};
pub use audit::{AuditFilter, AuditRow, Deed, Head as AuditHead};
pub use books::{
    Booking, Books, Changes, Charge, ChargedBudget, Found, HOUR_MS, NewHold, OpenHold, Owner,
    Pending, RollupKey, RollupRow, Share, Sums, WindowChange, WindowKey, add_entry, hour_of,
};
pub use budgets::{BudgetRow, Counters};
pub use change::Change;
pub use correct::RepairClaim;
pub use entries::{EntryRow, Kind, NewEntry};
pub use error::StoreError;
pub use facts::{Durability, Facts, Migrations};
pub use holds::HoldRow;
pub use limits::LimitRow;
pub use lock::ServerLock;
pub use nodes::NodeRow;
pub use open::{Patience, Place};
pub use operations::OperationRow;
pub use partitions::{Made, Partition};
pub use prices::{CostPlace, CostRow, PriceMark, PriceRow};
pub use reports::{
    Dimension, EntryCursor, GroupRow, Grouping, NamedEntry, Span, TagFilter, UsageFilter,
};
pub use runs::{RunChange, RunEnd, RunRow};
pub use snapshot::{Snapshot, WindowRow};
pub use suspects::{FutureEntries, Overdrawn, Ownerless};
pub use teams::{ListedOrganisation, ListedTeam, OrganisationRow, TeamRow};
pub use token_keys::TokenKeyRow;
pub use tokens::Tokens;

use engine::{Engine, Pool, Transaction, on};
use open::Options;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::Instant};
use turns::{Turn, Turns};

/// A caller is told within a second that the database does not answer.
const PROMPT: Duration = Duration::from_millis(800);

/// A ledger that runs brings its tables up to date within this time.
const WRITER: Duration = Duration::from_millis(300);

/// Waits for an answer that a caller waits for, and that takes milliseconds. A connection that is
/// lost in silence would else keep the caller for many minutes.
///
/// # Errors
/// `Unreachable` when there is none in time, and whatever the answer is.
pub async fn promptly<T>(
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(PROMPT, answer).await.unwrap_or_else(|_| Err(StoreError::silent()))
}

/// The database, open and migrated.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
    options: Options,
    place: Place,
    turns: Turns,
    /// Somebody wants to see the present in the tables.
    wanted: Arc<Notify>,
}

impl Store {
    /// Opens the database, making a file and its folder when missing, and brings its tables up to
    /// date.
    ///
    /// # Errors
    /// When it cannot be made, reached, read, written or migrated.
    pub async fn open(place: impl Into<Place>, patience: Patience) -> Result<Self, StoreError> {
        let place = place.into();
        Self::connect(&place, patience).await.map_err(|source| match source {
            error @ StoreError::Folder { .. } => error,
            source => StoreError::Unusable { place: place.to_string(), source: Box::new(source) },
        })
    }

    /// Opens a database as it is: nothing is made, migrated or written.
    ///
    /// # Errors
    /// When it is not there or cannot be reached or read.
    pub async fn look(place: impl Into<Place>, patience: Patience) -> Result<Self, StoreError> {
        let place = place.into();
        let looking = async {
            let options = Options::of_existing(&place, patience)?;
            // A pool tries again until its patience ends; a refusal is told at once.
            options.try_connect(patience).await?;
            let pool = options.pool(&place, patience).await?;
            Ok(Self::of(pool, options, place.clone(), patience))
        };
        looking.await.map_err(|source: StoreError| StoreError::Unusable {
            place: place.to_string(),
            source: Box::new(source),
        })
    }

    fn of(pool: Pool, options: Options, place: Place, patience: Patience) -> Self {
        let turns = Turns::new(patience.lock());
        Self { pool, options, place, turns, wanted: Arc::default() }
    }

    /// Begins a transaction that writes. Who has it must give the turn back last.
    async fn begin(&self) -> Result<(Transaction, Option<Turn>), StoreError> {
        let turn = match &self.pool {
            Engine::Sqlite(_) => Some(self.turns.take().await?),
            Engine::Postgres(_) => None,
        };
        Ok((self.pool.begin().await?, turn))
    }

    async fn connect(place: &Place, patience: Patience) -> Result<Self, StoreError> {
        let options = Options::of(place, patience)?;
        let migrated = open::migrate(&options, patience).await?;
        let pool = options.pool(place, patience).await;
        open::close(migrated).await;
        let pool = pool?;
        let store = Self::of(pool, options, place.clone(), patience);
        store.check_writable().await?;
        Ok(store)
    }

    /// A read-only file opens well and fails at the first write: find out now.
    async fn check_writable(&self) -> Result<(), StoreError> {
        let mut change = self.pool.begin().await?;
        let nothing = "update users set name = name where id = ''";
        on!(&mut change, db => sqlx::query(nothing).execute(&mut **db).await.map(drop))?;
        change.rollback().await
    }

    /// A connection of its own for the ledger's writer.
    ///
    /// # Errors
    /// When the database cannot be opened again.
    pub async fn books(&self) -> Result<Books, StoreError> {
        let (turns, wanted) = (self.turns.clone(), Arc::clone(&self.wanted));
        Books::open(self.options.of_the_ledger(), turns, wanted).await
    }

    /// Brings the tables up to what the ledger has decided: for whoever reads them and wants to see
    /// the present.
    ///
    /// Where somebody else writes for too long, the tables stay as they are: what they say was true a
    /// moment ago.
    ///
    /// # Errors
    /// Any other database failure.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let Some(newest) = self.journaled("select max(seq) from journal").await? else {
            return Ok(());
        };
        // The ledger that runs does it best: it remembers what the rows say.
        let until = Instant::now() + WRITER;
        while Instant::now() < until {
            self.wanted.notify_one();
            tokio::time::sleep(Duration::from_millis(3)).await;
            let oldest = self.journaled("select min(seq) from journal").await?;
            if oldest.is_none_or(|oldest| oldest > newest) {
                return Ok(());
            }
        }
        match self.books().await?.catch_up().await {
            Err(StoreError::Busy) => Ok(()),
            done => done,
        }
    }

    async fn journaled(&self, text: &'static str) -> Result<Option<i64>, StoreError> {
        let Engine::Sqlite(pool) = &self.pool else { return Ok(None) };
        match sqlx::query_scalar(text).fetch_one(pool).await.map_err(StoreError::from) {
            Err(error) if error.misses_a_table() => Ok(None),
            found => found,
        }
    }

    /// Claims the database for one server, where only one may use it; see [`ServerLock`].
    ///
    /// # Errors
    /// When another server has it.
    pub fn lock(&self) -> Result<Option<ServerLock>, StoreError> {
        match &self.place {
            Place::File(path) => ServerLock::take(path).map(Some),
            Place::Server { .. } => Ok(None),
        }
    }

    /// Whether several servers may use the database at once.
    pub fn is_shared(&self) -> bool {
        matches!(self.place, Place::Server { .. })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        promptly(async {
            on!(&self.pool, db => sqlx::query("select 1").execute(db).await.map(drop))?;
            Ok(())
        })
        .await
    }

    /// A consistent copy of a SQLite database as it stands, while the server runs.
    ///
    /// # Errors
    /// When the target exists or cannot be written; on PostgreSQL, whose own tools do that; any
    /// database failure.
    pub async fn copy_to(&self, target: &Path) -> Result<(), StoreError> {
        let Engine::Sqlite(pool) = &self.pool else {
            return Err(StoreError::Unsupported("copy a PostgreSQL database with pg_dump"));
        };
        self.catch_up().await?;
        let target = target.to_string_lossy();
        sqlx::query("vacuum into $1").bind(target.as_ref()).execute(pool).await?;
        Ok(())
    }

    /// Closes all connections after the statements in flight.
    pub async fn close(&self) {
        on!(&self.pool, db => db.close().await);
    }
}
