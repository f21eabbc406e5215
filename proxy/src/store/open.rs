//! Opening a database: its file or its address, its tables, and how long to wait for it.

use super::{
    StoreError,
    engine::{Engine, Link, Pool, on},
};
use sqlx::{
    Connection, PgConnection, SqliteConnection,
    migrate::{Migration, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::OpenOptions,
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, Instant},
};

/// How long somebody waits for the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// A server answers 503 within a second rather than wait.
    Server,
    /// A command may wait for a busy server.
    Command,
}

impl Patience {
    pub(super) fn lock(self) -> Duration {
        match self {
            Self::Server => Duration::from_millis(500),
            Self::Command => Duration::from_secs(10),
        }
    }

    /// For a connection of the pool, the making of one included.
    fn acquire(self) -> Duration {
        match self {
            Self::Server => Duration::from_millis(700),
            Self::Command => Duration::from_secs(10),
        }
    }

    /// For another process that brings the tables up to date, or uses those that are to be changed.
    fn migrate(self) -> Duration {
        match self {
            Self::Server => Duration::from_secs(120),
            Self::Command => Duration::from_secs(30),
        }
    }
}

/// A connection that does not answer this long was lost in silence: the other machine is gone, or
/// a firewall between them has forgotten it. Nobody would ever say so. Somebody waits for it.
const PING: Duration = Duration::from_millis(300);
/// One that answered so short a time ago is good. A busy server is asked nothing more than it must be:
/// what answers late would be closed, and the opening of another costs it far more.
const TRUSTED: Duration = Duration::from_secs(1);
/// As [`PING`], where nobody waits: what was asked last may still be under way.
const SETTLE: Duration = Duration::from_secs(2);

/// Which database.
#[derive(Clone, Debug)]
pub enum Place {
    /// A SQLite file.
    File(PathBuf),
    /// The address of a PostgreSQL database, with the most connections that one server may open.
    Server {
        /// `postgres://user@host/db`.
        url: String,
        /// Connections.
        connections: u32,
    },
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Place {
    fn from(path: &P) -> Self {
        Self::File(path.as_ref().to_owned())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server { url, .. } => match PgConnectOptions::from_str(url) {
                Ok(options) => {
                    let name = options.get_database().unwrap_or_default();
                    write!(f, "postgres://{}:{}/{name}", options.get_host(), options.get_port())
                }
                Err(_) => f.write_str("store.url"),
            },
        }
    }
}

/// How to make another connection.
pub(super) type Options = Engine<SqliteConnectOptions, PgConnectOptions>;

impl Options {
    pub(super) fn of(place: &Place, patience: Patience) -> Result<Self, StoreError> {
        match place {
            Place::File(path) => {
                make_folder(path)?;
                create_private(path)?;
                let options = sqlite(path, patience).create_if_missing(true);
                Ok(Self::Sqlite(options.journal_mode(SqliteJournalMode::Wal)))
            }
            Place::Server { url, .. } => Ok(Self::Postgres(postgres(url, patience)?)),
        }
    }

    /// Of a database that is taken as it is: nothing is made, and its journal stays what it is.
    pub(super) fn of_existing(place: &Place, patience: Patience) -> Result<Self, StoreError> {
        match place {
            Place::File(path) => Ok(Self::Sqlite(sqlite(path, patience))),
            Place::Server { url, .. } => Ok(Self::Postgres(postgres(url, patience)?)),
        }
    }

    pub(super) async fn connect(&self) -> Result<Link, StoreError> {
        Ok(match self {
            Self::Sqlite(options) => Engine::Sqlite(SqliteConnection::connect_with(options).await?),
            Self::Postgres(options) => Engine::Postgres(PgConnection::connect_with(options).await?),
        })
    }

    /// Whether the database can be reached.
    pub(super) async fn try_connect(&self, patience: Patience) -> Result<(), StoreError> {
        match tokio::time::timeout(patience.acquire(), self.connect()).await {
            Ok(connected) => connected.map(drop),
            Err(_) => Err(StoreError::Unreachable("no answer".to_owned())),
        }
    }

    pub(super) async fn pool(&self, place: &Place, patience: Patience) -> Result<Pool, StoreError> {
        let connections = match place {
            Place::File(_) => 4,
            Place::Server { connections, .. } => (*connections).max(2),
        };
        Ok(match self {
            Self::Sqlite(options) => Engine::Sqlite(
                SqlitePoolOptions::new()
                    .max_connections(connections)
                    .acquire_timeout(Duration::from_secs(2))
                    .connect_with(options.clone())
                    .await?,
            ),
            Self::Postgres(options) => Engine::Postgres(
                PgPoolOptions::new()
                    .max_connections(connections)
                    .acquire_timeout(patience.acquire())
                    // The pool's own test would wait for ever for a connection that was lost in
                    // silence, and keep its place until then.
                    .test_before_acquire(false)
                    .before_acquire(|db, meta| {
                        Box::pin(
                            async move { Ok(meta.idle_for < TRUSTED || answers(db, PING).await?) },
                        )
                    })
                    .after_release(|db, _| Box::pin(answers(db, SETTLE)))
                    .connect_with(options.clone())
                    .await?,
            ),
        })
    }

    /// For the ledger's connection: by a name that operators find it by, and with room for the pages
    /// that every batch touches, in KiB. Readers keep the usual 2 MiB.
    ///
    /// Everything that it asks PostgreSQL for has a key. A plan that goes through a whole table was
    /// made while that was small, and would be kept while it grows.
    pub(super) fn of_the_ledger(&self) -> Self {
        match self {
            Self::Sqlite(options) => Self::Sqlite(options.clone().pragma("cache_size", "-32000")),
            Self::Postgres(options) => {
                let options = options.clone().application_name("tollgate ledger");
                Self::Postgres(options.options([("enable_seqscan", "off"), ("jit", "off")]))
            }
        }
    }
}

/// Whether a connection of the pool is good; an error closes it at once.
async fn answers(db: &mut PgConnection, patience: Duration) -> Result<bool, sqlx::Error> {
    let silent = || sqlx::Error::Io(ErrorKind::TimedOut.into());
    tokio::time::timeout(patience, db.ping()).await.map_err(|_| silent())??;
    Ok(true)
}

fn sqlite(path: &Path, patience: Patience) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(patience.lock())
        .foreign_keys(true)
        // What a statement of many rows needs to take itself back: a file of its own otherwise.
        .pragma("temp_store", "memory")
        // Pages: 32 MiB of log before it is written into the file, page by page. Pages that every
        // batch touches are written there less often.
        .pragma("wal_autocheckpoint", "8000")
}

/// A statement that waits for a lock gives up in time for a 503, and a transaction whose server
/// was lost does not keep its locks: nobody would ever end it. Its connections are not kept either.
fn postgres(url: &str, patience: Patience) -> Result<PgConnectOptions, StoreError> {
    let lock = patience.lock().as_millis().to_string();
    let options = PgConnectOptions::from_str(url).map_err(StoreError::from)?;
    Ok(options.application_name("tollgate").options([
        ("lock_timeout", lock.as_str()),
        ("idle_in_transaction_session_timeout", "2000"),
        ("synchronous_commit", "on"),
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
    ]))
}

/// The migrations that belong to an engine, in their order.
pub(super) fn migrations<S, P>(engine: &Engine<S, P>) -> Vec<Migration> {
    let all = sqlx::migrate!("../migrations");
    let own = |migration: &&Migration| {
        let postgres_only = migration.description.ends_with("postgres");
        matches!(engine, Engine::Postgres(_)) || !postgres_only
    };
    all.iter().filter(own).cloned().collect()
}

/// Brings the tables up to date. A newer version may have added some: this one runs beside it.
///
/// Who waits for a lock gives up soon, or all others would wait behind; so this is tried until
/// those who have it are done: other servers that start, or calls that use a table. Returns the
/// connection, to be closed once others are open: the last one that closes a SQLite file writes its
/// log into it and deletes that, and the next one makes it again.
pub(super) async fn migrate(options: &Options, patience: Patience) -> Result<Link, StoreError> {
    let deadline = Instant::now() + patience.migrate();
    loop {
        match try_migrate(options).await {
            Err(StoreError::Busy) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            done => return done,
        }
    }
}

/// On a connection of its own: one that fails midway keeps the lock as long as it is open.
async fn try_migrate(options: &Options) -> Result<Link, StoreError> {
    let mut migrator = Migrator::with_migrations(migrations(options));
    migrator.set_ignore_missing(true);
    let mut link = options.connect().await?;
    match on!(&mut link, db => migrator.run(&mut *db).await) {
        Ok(()) => Ok(link),
        Err(error) => {
            close(link).await;
            Err(error.into())
        }
    }
}

/// Of no use any more, whether or not it says goodbye.
pub(super) async fn close(link: Link) {
    on!(link, db => drop(db.close().await));
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(folder)
        .map_err(|source| StoreError::Folder { path: folder.to_owned(), source })
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
