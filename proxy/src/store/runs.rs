//! Calls under an idempotency key: who runs them, and what became of them.

use super::{
    Books, Store, StoreError,
    engine::{Engine, Text, on},
};
use sqlx::{FromRow, PgConnection, SqliteConnection};

/// A call under an idempotency key.
#[derive(Clone, Debug, Default, PartialEq, Eq, FromRow)]
pub struct RunRow {
    /// The API key.
    pub key_id: String,
    /// Hash of the idempotency key, as hexadecimal digits.
    pub key_hash: String,
    /// The API key's user.
    pub user_id: String,
    /// Hash of what was asked.
    pub fingerprint: String,
    /// Id of the request that began it.
    pub request_id: String,
    /// The server that runs it.
    pub node: String,
    /// `running`, `finished` or `cancelled`.
    pub state: String,
    /// When it began.
    pub started_ms: i64,
    /// When it ended.
    pub finished_ms: Option<i64>,
    /// When the key is free again.
    pub expires_ms: i64,
    /// The provider that answered.
    pub provider: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// Its events, one a line.
    pub events: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// Id of the request.
    pub request_id: String,
    /// `finished` or `cancelled`.
    pub state: &'static str,
    /// When.
    pub finished_ms: i64,
    /// When the key is free again.
    pub expires_ms: i64,
    /// Provider and model that answered, where one did.
    pub target: Option<(String, String)>,
    /// Its events, one a line.
    pub events: Option<String>,
}

/// Whether a server that shares the books lives, by the database's own clock.
const LIVES: Text = Text {
    sqlite: "select count(*) from nodes
             where id = $1 and expires_ms >= cast(unixepoch('subsec') * 1000 as bigint)",
    postgres: "select count(*) from nodes
               where id = $1
                 and expires_ms >= cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
};

/// What happens to a run.
#[derive(Clone, Debug)]
pub enum RunChange {
    /// Claims a key for a call, unless another call has it.
    Claim(Box<RunRow>),
    /// It has ended.
    End(RunEnd),
    /// The call of this request was not made, or failed: its key is free.
    Release(String),
}

/// An open transaction.
struct Writing<'c>(Engine<&'c mut SqliteConnection, &'c mut PgConnection>);

impl Writing<'_> {
    /// Returns which of the claims got their key.
    async fn write(&mut self, changes: &[RunChange]) -> Result<Vec<bool>, StoreError> {
        let mut claimed = Vec::new();
        for change in changes {
            match change {
                RunChange::Claim(run) => claimed.push(self.claim(run).await?),
                RunChange::End(end) => self.end(end).await?,
                RunChange::Release(request_id) => self.release(request_id).await?,
            }
        }
        Ok(claimed)
    }

    /// Claims a key for a call, unless another call has it. Returns whether it is claimed.
    async fn claim(&mut self, run: &RunRow) -> Result<bool, StoreError> {
        let text = "insert into runs (key_id, key_hash, user_id, fingerprint, request_id, node,
                                      state, started_ms, expires_ms)
                    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                    on conflict (key_id, key_hash) do update
                    set user_id = excluded.user_id, fingerprint = excluded.fingerprint,
                        request_id = excluded.request_id, node = excluded.node,
                        state = excluded.state, started_ms = excluded.started_ms,
                        finished_ms = null, expires_ms = excluded.expires_ms, cancel_ms = null,
                        provider = null, model = null, events = null
                    where runs.expires_ms < excluded.started_ms";
        let claimed = on!(&mut self.0, db => sqlx::query(text)
            .bind(&run.key_id)
            .bind(&run.key_hash)
            .bind(&run.user_id)
            .bind(&run.fingerprint)
            .bind(&run.request_id)
            .bind(&run.node)
            .bind(&run.state)
            .bind(run.started_ms)
            .bind(run.expires_ms)
            .execute(&mut **db)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(claimed == 1)
    }

    async fn end(&mut self, end: &RunEnd) -> Result<(), StoreError> {
        let text = "update runs
                    set state = $2, finished_ms = $3, expires_ms = $4, events = $5,
                        provider = $6, model = $7
                    where request_id = $1 and state = 'running'";
        on!(&mut self.0, db => sqlx::query(text)
            .bind(&end.request_id)
            .bind(end.state)
            .bind(end.finished_ms)
            .bind(end.expires_ms)
            .bind(&end.events)
            .bind(end.target.as_ref().map(|(provider, _)| provider))
            .bind(end.target.as_ref().map(|(_, model)| model))
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    async fn release(&mut self, request_id: &str) -> Result<(), StoreError> {
        let text = "delete from runs where request_id = $1 and state = 'running'";
        on!(&mut self.0, db => sqlx::query(text)
            .bind(request_id)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }
}

impl Books {
    /// As [`Store::write_runs`], on the connection that moves money: SQLite has one that writes at a
    /// time, and what another one writes makes this one forget what it has read.
    ///
    /// # Errors
    /// As [`Store::write_runs`]; then the books must [recover](Books::recover).
    pub async fn write_runs(&mut self, changes: &[RunChange]) -> Result<Vec<bool>, StoreError> {
        self.begin().await?;
        let mut writing = Writing(match &mut self.link {
            Engine::Sqlite(link) => Engine::Sqlite(link),
            Engine::Postgres(link) => Engine::Postgres(link),
        });
        let claimed = writing.write(changes).await?;
        self.commit().await?;
        Ok(claimed)
    }
}

impl Store {
    /// Changes runs in one transaction, in this order. Returns which of the claims got their key.
    ///
    /// # Errors
    /// Any database failure; then nothing was changed, or nobody knows.
    pub async fn write_runs(&self, changes: &[RunChange]) -> Result<Vec<bool>, StoreError> {
        let (link, _turn) = self.begin().await?;
        // Over before the turn is given back, however this ends.
        let mut link = link;
        let mut writing = Writing(match &mut link {
            Engine::Sqlite(link) => Engine::Sqlite(&mut **link),
            Engine::Postgres(link) => Engine::Postgres(&mut **link),
        });
        let claimed = writing.write(changes).await?;
        link.commit().await?;
        Ok(claimed)
    }

    /// The run of an idempotency key.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn run_of_key(
        &self,
        key_id: &str,
        key_hash: &str,
    ) -> Result<Option<RunRow>, StoreError> {
        let text = "select key_id, key_hash, user_id, fingerprint, request_id, node, state,
                           started_ms, finished_ms, expires_ms, provider, model, events
                    from runs where key_id = $1 and key_hash = $2";
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(key_id)
            .bind(key_hash)
            .fetch_optional(db)
            .await)?)
    }

    /// The run that a request began.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn run_of_request(&self, request_id: &str) -> Result<Option<RunRow>, StoreError> {
        let text = "select key_id, key_hash, user_id, fingerprint, request_id, node, state,
                           started_ms, finished_ms, expires_ms, provider, model, events
                    from runs where request_id = $1";
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(request_id)
            .fetch_optional(db)
            .await)?)
    }

    /// Whether a server lives that shares the books.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn node_lives(&self, node: &str) -> Result<bool, StoreError> {
        let text = self.pool.text(LIVES);
        let found: i64 = on!(&self.pool, db => sqlx::query_scalar(text)
            .bind(node)
            .fetch_one(db)
            .await)?;
        Ok(found > 0)
    }

    /// Asks the server that runs a call to cancel it.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn ask_to_cancel(&self, request_id: &str, now_ms: i64) -> Result<(), StoreError> {
        let text = "update runs set cancel_ms = $2
                    where request_id = $1 and state = 'running' and cancel_ms is null";
        on!(&self.pool, db => sqlx::query(text)
            .bind(request_id)
            .bind(now_ms)
            .execute(db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Runs of a server that others asked it to cancel.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn runs_to_cancel(&self, node: &str) -> Result<Vec<String>, StoreError> {
        let text = "select request_id from runs
                    where node = $1 and cancel_ms is not null and state = 'running'";
        Ok(on!(&self.pool, db => sqlx::query_scalar(text).bind(node).fetch_all(db).await)?)
    }

    /// Forgets runs that expired before a moment, at most `limit`. Returns how many.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn forget_runs(&self, before_ms: i64, limit: u32) -> Result<u64, StoreError> {
        let text = "delete from runs where request_id in
                        (select request_id from runs where expires_ms < $1
                         order by expires_ms limit $2)";
        Ok(on!(&self.pool, db => sqlx::query(text)
            .bind(before_ms)
            .bind(i64::from(limit))
            .execute(db)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
