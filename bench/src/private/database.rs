//! An empty PostgreSQL database for one test.

use super::{Durability, POSTGRES, Postgres, from_environment, with_database};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{io, time::Duration};
use tokio::sync::OnceCell;

/// A server that does not answer within this is paused, or gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server of a process that was given none. Nothing drops it: it ends with the process.
static OWN: OnceCell<Postgres> = OnceCell::const_new();

/// An empty database of one's own; dropping it drops it on the server too, with its connections.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A new one on the server that `TOLLGATE_TEST_POSTGRES` names. Without that, on one that is
    /// started for this process: under cargo-nextest, which has a process for every test, that is
    /// one server for each, so `make test` and `scripts/with_databases.sh` name one.
    ///
    /// # Errors
    /// When there is no server, or it makes no database.
    pub async fn fresh() -> io::Result<Self> {
        let server = match from_environment(POSTGRES) {
            Some(url) => url,
            None => OWN.get_or_try_init(|| Postgres::start(Durability::System)).await?.url(),
        };
        Self::on(&server).await
    }

    /// A new one on a server of which this is the URL of a superuser: [`Postgres::url`], say.
    ///
    /// # Errors
    /// When the server is not there, or makes no database.
    pub async fn on(server: &str) -> io::Result<Self> {
        let random: String = std::iter::repeat_with(fastrand::lowercase).take(16).collect();
        let (server, name) = (server.to_owned(), format!("tollgate_test_{random}"));
        // Nobody is ever connected to template0, so that any number can be made at once.
        run(&server, format!("create database {name} template template0")).await?;
        Ok(Self { server, name })
    }

    /// The URL of a superuser, to this database.
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (std::mem::take(&mut self.server), std::mem::take(&mut self.name));
        // A thread of its own: this one may be in the middle of a runtime, which must not wait.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let command = format!("drop database if exists {name} with (force)");
            // A server that a test has stopped or paused takes its databases along.
            let dropping = async { tokio::time::timeout(PATIENCE, run(&server, command)).await };
            runtime.block_on(dropping).unwrap_or(Ok(()))
        });
        drop(dropping.join());
    }
}

impl std::fmt::Debug for Database {
    /// Without the password of the server.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Runs one command, whose only variable part is a name that was made here.
async fn run(server: &str, command: String) -> io::Result<()> {
    let failed = |error| {
        let hint = format!("{POSTGRES} must be the URL of a superuser, or unset");
        io::Error::other(format!("PostgreSQL: {error}; {hint}"))
    };
    let mut connection = PgConnection::connect(server).await.map_err(failed)?;
    sqlx::raw_sql(AssertSqlSafe(command)).execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}
