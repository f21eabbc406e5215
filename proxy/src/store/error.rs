//! What can go wrong with the database, by what can be done about it.

use std::path::PathBuf;

/// The database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the write lock.
    #[error("the database is locked by another process")]
    Busy,
    /// The file or its folder cannot be written.
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// The file is no database, or is damaged.
    #[error("the database is damaged or not a database: {0}")]
    Damaged(String),
    /// A folder cannot be made.
    #[error("cannot make the folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be used as a database.
    #[error(
        "cannot use {path}: {source}; check the file and its folder, or choose another store.url"
    )]
    Unusable {
        /// The database.
        path: PathBuf,
        /// Why.
        source: Box<StoreError>,
    },
    /// Another server uses the database.
    #[error("another tollgate server uses {path}; stop it first, or choose another store.url")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// A name that must be unique is taken.
    #[error("the name is taken already")]
    Taken,
    /// The tables cannot be brought up to date.
    #[error("the database cannot be migrated: {0}")]
    Migration(String),
    /// A row holds something that this version cannot read.
    #[error("the database has a row that cannot be read: {0}")]
    Row(String),
    /// Counters would have passed their cap, or were not there: a mistake in the ledger, or
    /// somebody else's hand in the database.
    #[error("of {expected} budget windows only {changed} could be charged within their caps")]
    Unbalanced {
        /// Windows to change.
        expected: u64,
        /// Windows that allowed it.
        changed: u64,
    },
    /// Anything else.
    #[error("the database failed: {0}")]
    Other(sqlx::Error),
}

impl StoreError {
    /// Whether the failure may be about what was to be written, rather than about the database:
    /// then the other things that were to be written with it are worth another try without it.
    pub fn blames_a_row(&self) -> bool {
        matches!(
            self,
            Self::Taken
                | Self::Row(_)
                | Self::Unbalanced { .. }
                | Self::Other(sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. })
        )
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(inner) = &error else { return Self::Other(error) };
        if inner.is_unique_violation() {
            return Self::Taken;
        }
        // Extended result codes keep SQLite's primary code in the low byte (sqlite.org/rescode.html).
        let code = inner.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
        match code & 0xff {
            5 | 6 => Self::Busy,
            8 | 13 | 14 | 23 => Self::ReadOnly(inner.message().to_owned()),
            11 | 26 => Self::Damaged(inner.message().to_owned()),
            _ => Self::Other(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(inner)
            | sqlx::migrate::MigrateError::ExecuteMigration(inner, _) => inner.into(),
            other => Self::Migration(other.to_string()),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Row(error.to_string())
    }
}
