//! Where the books of one test are: a SQLite file or a PostgreSQL database of its own.

use super::Database;
use std::io;
use tempfile::TempDir;

/// Which engine keeps the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// An empty place for books; dropping it removes them.
#[derive(Debug)]
pub enum Home {
    /// A folder for a SQLite file.
    Sqlite(TempDir),
    /// A PostgreSQL database.
    Postgres(Database),
}

impl Home {
    /// A new one.
    ///
    /// # Errors
    /// When the folder or the database cannot be made.
    pub async fn fresh(kind: Kind) -> io::Result<Self> {
        Ok(match kind {
            Kind::Sqlite => Self::Sqlite(TempDir::new()?),
            Kind::Postgres => Self::Postgres(Database::fresh().await?),
        })
    }

    /// As `store.url` has it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("books.db").display()),
            Self::Postgres(database) => database.url(),
        }
    }
}

/// Makes of each `async fn name(kind: Kind)` two tests, `sqlite::name` and `postgres::name`. Those
/// after `threads:` run on several threads. At most once in a module.
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),* $(,)? $(; threads: $($threaded:ident),+ $(,)?)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::private::Kind::Sqlite).await;
            })*
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $threaded() {
                super::$threaded($crate::private::Kind::Sqlite).await;
            })+)?
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::private::Kind::Postgres).await;
            })*
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $threaded() {
                super::$threaded($crate::private::Kind::Postgres).await;
            })+)?
        }
    };
}
