//! What a database says of itself: version, size, migrations, durability, clock.

use super::{
    Place, Store, StoreError,
    engine::{Engine, Text, on},
    open,
};
use std::{collections::BTreeMap, path::Path};

/// What a database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `SQLite 3.50.2`, `PostgreSQL 17.2`.
    pub engine: String,
    /// Bytes of all tables and indexes.
    pub bytes: i64,
    /// The most connections that all clients together may have; absent in SQLite.
    pub max_connections: Option<i64>,
}

/// What a power cut leaves of what was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    /// SQLite.
    Sqlite {
        /// `wal`, unless somebody changed it.
        journal_mode: String,
        /// 2 is `full`, 3 `extra`: those are durable.
        synchronous: i64,
    },
    /// PostgreSQL: its settings, `on` or `off`.
    Postgres {
        /// Whether commits reach the disk at all.
        fsync: String,
        /// Whether a commit waits for that.
        synchronous_commit: String,
        /// Whether half-written pages can be mended.
        full_page_writes: String,
    },
}

/// The steps that made the tables, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrations {
    /// Those that were taken.
    pub applied: Vec<i64>,
    /// Those of this version that were not.
    pub missing: Vec<i64>,
    /// Those of a newer version.
    pub newer: Vec<i64>,
    /// Those that were begun and not ended, or differ from this version's.
    pub wrong: Vec<i64>,
}

const VERSION: Text = Text {
    sqlite: "select sqlite_version()",
    postgres: "select current_setting('server_version')",
};
const BYTES: Text = Text {
    sqlite: "select p.page_count * s.page_size from pragma_page_count() p, pragma_page_size() s",
    postgres: "select pg_database_size(current_database())",
};
const NOW: Text = Text {
    sqlite: "select cast(unixepoch('subsec') * 1000 as bigint)",
    postgres: "select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
};
const MIGRATED: Text = Text {
    sqlite: "select count(*) from sqlite_master where name = '_sqlx_migrations'",
    postgres: "select cast(count(to_regclass('_sqlx_migrations')) as bigint)",
};

impl Store {
    /// Asks the database about itself.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn facts(&self) -> Result<Facts, StoreError> {
        let version = self.word(self.pool.text(VERSION)).await?;
        // Packages add their own name: `17.2 (Debian 17.2-1)`.
        let version = version.split_whitespace().next().unwrap_or_default();
        let (name, connections) = match &self.pool {
            Engine::Sqlite(_) => ("SQLite", None),
            Engine::Postgres(_) => {
                let text = "select cast(current_setting('max_connections') as bigint)";
                ("PostgreSQL", Some(self.count(text).await?))
            }
        };
        Ok(Facts {
            engine: format!("{name} {version}"),
            bytes: self.count(self.pool.text(BYTES)).await?,
            max_connections: connections,
        })
    }

    /// The database's clock, in milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn now_ms(&self) -> Result<i64, StoreError> {
        self.count(self.pool.text(NOW)).await
    }

    /// What a power cut leaves of what was committed.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn durability(&self) -> Result<Durability, StoreError> {
        Ok(match &self.pool {
            Engine::Sqlite(_) => Durability::Sqlite {
                journal_mode: self.word("select journal_mode from pragma_journal_mode()").await?,
                synchronous: self.count("select synchronous from pragma_synchronous()").await?,
            },
            Engine::Postgres(_) => Durability::Postgres {
                fsync: self.word("select current_setting('fsync')").await?,
                synchronous_commit: self
                    .word("select current_setting('synchronous_commit')")
                    .await?,
                full_page_writes: self.word("select current_setting('full_page_writes')").await?,
            },
        })
    }

    /// Which migrations were made, and which were not.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn migrations(&self) -> Result<Migrations, StoreError> {
        let own = open::migrations(&self.pool);
        let mut found = Migrations::default();
        let mut applied = BTreeMap::new();
        if self.count(self.pool.text(MIGRATED)).await? > 0 {
            let text = "select version, success, checksum from _sqlx_migrations";
            let rows: Vec<(i64, bool, Vec<u8>)> =
                on!(&self.pool, db => sqlx::query_as(text).fetch_all(db).await)?;
            applied.extend(rows.into_iter().map(|(version, ok, sum)| (version, (ok, sum))));
        }
        for migration in &own {
            match applied.remove(&migration.version) {
                None => found.missing.push(migration.version),
                Some((true, sum)) if sum == *migration.checksum => {
                    found.applied.push(migration.version);
                }
                Some(_) => found.wrong.push(migration.version),
            }
        }
        found.newer.extend(applied.into_keys());
        Ok(found)
    }

    /// What SQLite's own check of the file finds; empty when all is well, and on PostgreSQL. Reads
    /// the whole file.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn damages(&self) -> Result<Vec<String>, StoreError> {
        let Engine::Sqlite(pool) = &self.pool else { return Ok(Vec::new()) };
        let text = "pragma quick_check(10)";
        let mut found: Vec<String> = sqlx::query_scalar(text).fetch_all(pool).await?;
        found.retain(|line| line != "ok");
        Ok(found)
    }

    /// The file of a SQLite database.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Server { .. } => None,
        }
    }

    /// Where the database is, without its password.
    pub fn place(&self) -> &Place {
        &self.place
    }

    async fn word(&self, text: &'static str) -> Result<String, StoreError> {
        Ok(on!(&self.pool, db => sqlx::query_scalar(text).fetch_one(db).await)?)
    }

    pub(super) async fn count(&self, text: &'static str) -> Result<i64, StoreError> {
        Ok(on!(&self.pool, db => sqlx::query_scalar(text).fetch_one(db).await)?)
    }
}
