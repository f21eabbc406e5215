//! SQLite or PostgreSQL: one text of SQL and one flow of code for both.

use super::StoreError;
use sqlx::{PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool};

/// The same thing on either engine.
#[derive(Clone, Debug)]
pub(super) enum Engine<S, P> {
    /// Embedded, for one server.
    Sqlite(S),
    /// Shared by several servers.
    Postgres(P),
}

/// Connections for reading, and for administrative changes.
pub(super) type Pool = Engine<SqlitePool, PgPool>;
/// One connection.
pub(super) type Link = Engine<SqliteConnection, PgConnection>;
/// A transaction; dropping it takes everything back.
pub(super) type Transaction =
    Engine<sqlx::Transaction<'static, Sqlite>, sqlx::Transaction<'static, Postgres>>;

/// Runs the same expression on whichever engine it is; `$db` is its pool or connection.
macro_rules! on {
    ($engine:expr, $db:ident => $run:expr) => {
        match $engine {
            $crate::store::engine::Engine::Sqlite($db) => $run,
            $crate::store::engine::Engine::Postgres($db) => $run,
        }
    };
}

/// A statement with the rows of its first parameter, an array of JSON, as a table with the one
/// column `value`. Written around the table's place.
macro_rules! with_rows {
    ($before:expr, $after:expr) => {
        $crate::store::engine::Text {
            sqlite: concat!($before, " jsonb_each($1) ", $after),
            postgres: concat!(
                $before,
                " ",
                $crate::store::engine::rows_of_parameter!("$1"),
                " ",
                $after
            ),
        }
    };
}

/// The rows of any parameter, as PostgreSQL spells it.
macro_rules! rows_of_parameter {
    ($parameter:literal) => {
        concat!("jsonb_array_elements(cast(", $parameter, " as jsonb))")
    };
}

pub(super) use {on, rows_of_parameter, with_rows};

/// A statement where the engines spell a thing differently.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

impl<S, P> Engine<S, P> {
    /// The engine's own spelling.
    pub(super) fn text(&self, text: Text) -> &'static str {
        match self {
            Self::Sqlite(_) => text.sqlite,
            Self::Postgres(_) => text.postgres,
        }
    }
}

impl Link {
    /// Runs a statement that takes rows of JSON and tells nothing.
    pub(super) async fn run_with(&mut self, text: Text, rows: String) -> Result<(), StoreError> {
        let text = self.text(text);
        on!(self, db => sqlx::query(text).bind(rows).execute(&mut *db).await.map(drop))?;
        Ok(())
    }
}

impl Pool {
    /// Begins a transaction. SQLite takes the write lock now, so that what is read stays true.
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(match self {
            Self::Sqlite(pool) => Engine::Sqlite(pool.begin_with("begin immediate").await?),
            Self::Postgres(pool) => Engine::Postgres(pool.begin().await?),
        })
    }
}

impl Transaction {
    /// Makes everything since its beginning durable.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        on!(self, db => db.commit().await)?;
        Ok(())
    }

    /// Takes everything back.
    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        on!(self, db => db.rollback().await)?;
        Ok(())
    }
}
