//! What can go wrong with the database, by what can be done about it.

use sqlx::postgres::PgDatabaseError;
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
    /// The database cannot be used.
    #[error(
        "cannot use {place}: {source}; check the file and its folder or the address, or choose another store.url"
    )]
    Unusable {
        /// The database.
        place: String,
        /// Why.
        source: Box<StoreError>,
    },
    /// Another server uses the database.
    #[error("another tollgate server uses {path}; stop it first, or choose another store.url")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// Another process corrects the books.
    #[error("another `tollgate doctor --repair` is at work; wait for its end")]
    Repairing,
    /// The database cannot be reached, or has no connection left.
    #[error("the database does not answer: {0}")]
    Unreachable(String),
    /// This kind of database has no such thing.
    #[error("this is not done here: {0}")]
    Unsupported(&'static str),
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
    /// The database was silent for longer than anybody waits.
    pub fn silent() -> Self {
        Self::Unreachable("no answer".to_owned())
    }

    /// Whether a table is not there, because the database is of an older version.
    pub(super) fn misses_a_table(&self) -> bool {
        let Self::Other(sqlx::Error::Database(inner)) = self else { return false };
        inner.message().starts_with("no such table")
    }

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
        use sqlx::Error;
        match &error {
            Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed => {
                Self::Unreachable(error.to_string())
            }
            Error::Database(inner) if inner.is_unique_violation() => Self::Taken,
            Error::Database(inner) => {
                let code = inner.code().unwrap_or_default();
                let message = || inner.message().to_owned();
                match class(&code, inner.try_downcast_ref::<PgDatabaseError>().is_some()) {
                    Class::Busy => Self::Busy,
                    Class::ReadOnly => Self::ReadOnly(message()),
                    Class::Damaged => Self::Damaged(message()),
                    Class::Unreachable => Self::Unreachable(message()),
                    Class::Other => Self::Other(error),
                }
            }
            _ => Self::Other(error),
        }
    }
}

enum Class {
    Busy,
    ReadOnly,
    Damaged,
    Unreachable,
    Other,
}

/// What an error code of either engine comes to.
fn class(code: &str, postgres: bool) -> Class {
    if postgres {
        // postgresql.org/docs/current/errcodes-appendix.html
        return match code {
            "40001" | "40P01" | "55P03" | "57014" | "25P03" => Class::Busy,
            "25006" | "42501" | "53100" => Class::ReadOnly,
            "XX001" | "XX002" => Class::Damaged,
            _ if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
                Class::Unreachable
            }
            _ => Class::Other,
        };
    }
    // Extended result codes keep SQLite's primary code in the low byte (sqlite.org/rescode.html).
    match code.parse::<i32>().unwrap_or_default() & 0xff {
        5 | 6 => Class::Busy,
        8 | 13 | 14 | 23 => Class::ReadOnly,
        11 | 26 => Class::Damaged,
        _ => Class::Other,
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
