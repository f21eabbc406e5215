//! Makes sure that a lost connection is over before the next one begins.

use super::StoreError;
use crate::store::engine::{Engine, Link};
use sqlx::FromRow;

/// PostgreSQL's process behind a connection. It goes on with what it was last told after its client
/// has left: a commit that nobody waits for any more may still bring a hold, after its release has
/// found nothing to release.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Backend {
    pid: i32,
    /// Numbers of processes are used again.
    started: String,
}

impl Backend {
    /// That of a connection; SQLite, which works in this process, has none.
    pub(super) async fn of(link: &mut Link) -> Result<Option<Self>, StoreError> {
        let Engine::Postgres(db) = link else { return Ok(None) };
        let text = "select pid, cast(backend_start as text) as started
                    from pg_stat_activity where pid = pg_backend_pid()";
        Ok(sqlx::query_as(text).fetch_optional(db).await?)
    }

    /// Tells it to end, seen from another connection. Returns whether it is gone.
    ///
    /// # Errors
    /// Any database failure.
    pub(super) async fn end(&self, link: &mut Link) -> Result<bool, StoreError> {
        let Engine::Postgres(db) = link else { return Ok(true) };
        let text = "select pg_terminate_backend(pid) from pg_stat_activity
                    where pid = $1 and cast(backend_start as text) = $2";
        let told: Option<bool> =
            sqlx::query_scalar(text).bind(self.pid).bind(&self.started).fetch_optional(db).await?;
        Ok(told.is_none())
    }
}
