//! Servers that share the books: who is alive, by the database's own clock.

use super::{
    Books, Store, StoreError,
    engine::{Text, on},
};
use sqlx::FromRow;

/// A server that has or had holds.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct NodeRow {
    /// ULID, new at every start.
    pub id: String,
    /// Where it runs.
    pub host: String,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_ms: i64,
    /// When it was seen last.
    pub seen_ms: i64,
    /// When the others take it for dead.
    pub expires_ms: i64,
}

/// The database's clock in milliseconds since 1970 UTC: servers may disagree about the time.
const BEAT: Text = Text {
    sqlite: "insert into nodes (id, host, version, started_ms, seen_ms, expires_ms)
             select $1, $2, $3, $4, now_ms, now_ms + $5
             from (select cast(unixepoch('subsec') * 1000 as bigint) as now_ms) where true
             on conflict (id) do update
             set seen_ms = excluded.seen_ms, expires_ms = excluded.expires_ms
             returning seen_ms",
    postgres: "insert into nodes (id, host, version, started_ms, seen_ms, expires_ms)
               select $1, $2, $3, $4, now_ms, now_ms + $5
               from (select cast(extract(epoch from clock_timestamp()) * 1000 as bigint) as now_ms)
                    as clock
               on conflict (id) do update
               set seen_ms = excluded.seen_ms, expires_ms = excluded.expires_ms
               returning seen_ms",
};

const ORPHANS: Text = Text {
    sqlite: "select h.id from holds h left join nodes n on n.id = h.node
             where n.id is null
                or n.expires_ms < cast(unixepoch('subsec') * 1000 as bigint)
             order by h.id limit $1",
    postgres: "select h.id from holds h left join nodes n on n.id = h.node
               where n.id is null
                  or n.expires_ms < cast(extract(epoch from clock_timestamp()) * 1000 as bigint)
               order by h.id limit $1",
};

impl Books {
    /// Says that a server lives, for so many milliseconds from now. Returns the database's time.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn beat(&mut self, node: &NodeRow, lease_ms: i64) -> Result<i64, StoreError> {
        let text = self.link.text(BEAT);
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(&node.id)
            .bind(&node.host)
            .bind(&node.version)
            .bind(node.started_ms)
            .bind(lease_ms)
            .fetch_one(&mut *db)
            .await)?)
    }

    /// Holds whose server is dead, the oldest first, at most `limit`.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn orphans(&mut self, limit: i64) -> Result<Vec<String>, StoreError> {
        let text = self.link.text(ORPHANS);
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(limit)
            .fetch_all(&mut *db)
            .await)?)
    }

    /// Forgets servers that are dead and have no holds any more.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn forget_nodes(&mut self, before_ms: i64) -> Result<(), StoreError> {
        let text = "delete from nodes
                    where expires_ms < $1 and id not in (select node from holds)";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(before_ms)
            .execute(&mut *db)
            .await
            .map(drop))?;
        Ok(())
    }
}

impl Store {
    /// Every server that is known, the newest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn nodes(&self) -> Result<Vec<NodeRow>, StoreError> {
        let text = "select id, host, version, started_ms, seen_ms, expires_ms from nodes
                    order by started_ms desc, id";
        Ok(on!(&self.pool, db => sqlx::query_as(text).fetch_all(db).await)?)
    }
}
