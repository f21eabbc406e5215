//! The only SQL in the tree: one file per table family, no rules.
//!
//! SQLite in WAL mode: readers never wait for the writer, and everything that decides about money
//! goes through the one [`Books`] connection, which the ledger owns.

mod accounts;
mod books;
mod budgets;
mod entries;
mod error;
mod lock;
mod prices;
mod reports;
mod tokens;

pub use accounts::{Account, KeyRow, UserRow};
pub use books::{
    Books, Charge, ChargedBudget, Found, NewHold, OpenHold, Owner, Share, WindowChange, WindowKey,
};
pub use budgets::{BudgetRow, Counters};
pub use entries::EntryRow;
pub use error::StoreError;
pub use lock::ServerLock;
pub use prices::PriceRow;
pub use reports::{GroupRow, NamedEntry, UsageFilter};
pub use tokens::Tokens;

use sqlx::{
    Connection, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::OpenOptions,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a statement waits for another process that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// A server answers 503 within a second rather than wait.
    Server,
    /// A command may wait for a busy server.
    Command,
}

impl Patience {
    fn busy_timeout(self) -> Duration {
        match self {
            Self::Server => Duration::from_millis(500),
            Self::Command => Duration::from_secs(10),
        }
    }
}

/// The database, open and migrated.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    options: SqliteConnectOptions,
    path: PathBuf,
}

impl Store {
    /// Opens the file, making it and its folder when missing, and brings its tables up to date.
    ///
    /// # Errors
    /// When the file cannot be made, read, written or migrated.
    pub async fn open(path: &Path, patience: Patience) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        }
        let opened = Self::connect(path, patience).await;
        opened.map_err(|source| StoreError::Unusable {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    async fn connect(path: &Path, patience: Patience) -> Result<Self, StoreError> {
        create_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(patience.busy_timeout())
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(2))
            .connect_with(options.clone())
            .await?;
        let store = Self { pool, options, path: path.to_owned() };
        // A newer version may have added tables: this one runs beside it.
        sqlx::migrate!("../migrations").set_ignore_missing(true).run(&store.pool).await?;
        store.check_writable().await?;
        Ok(store)
    }

    /// A read-only file opens well and fails at the first write: find out now.
    async fn check_writable(&self) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        sqlx::query("update users set name = name where id = ''")
            .execute(&mut *transaction)
            .await?;
        transaction.rollback().await?;
        Ok(())
    }

    /// A connection of its own for the ledger's writer.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub async fn books(&self) -> Result<Books, StoreError> {
        Ok(Books::new(SqliteConnection::connect_with(&self.options).await?, self.options.clone()))
    }

    /// Claims the database for one server; see [`ServerLock`].
    ///
    /// # Errors
    /// When another server has it.
    pub fn lock(&self) -> Result<ServerLock, StoreError> {
        ServerLock::take(&self.path)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    /// A consistent copy of the database as it stands, while the server runs.
    ///
    /// # Errors
    /// When the target exists or cannot be written; any database failure.
    pub async fn copy_to(&self, target: &Path) -> Result<(), StoreError> {
        let target = target.to_string_lossy();
        sqlx::query("vacuum into $1").bind(target.as_ref()).execute(&self.pool).await?;
        Ok(())
    }

    /// Closes all connections after the statements in flight.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Makes the file, readable by its owner alone: it holds usage and the hashes of keys. SQLite gives
/// its side files the same mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::ReadOnly(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}
