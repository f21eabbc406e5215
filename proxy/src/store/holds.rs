//! Open holds, as operators see them.

use super::{Share, Store, StoreError, books::shares_of, engine::on};
use sqlx::FromRow;

/// A hold with the server that placed it.
#[derive(Clone, Debug, FromRow)]
pub struct HoldRow {
    /// The hold's id.
    pub id: String,
    /// The server process that placed it.
    pub node: String,
    /// Where that runs, where servers share the database.
    pub host: Option<String>,
    /// Until when that server is believed to live: then the others settle the hold.
    pub expires_ms: Option<i64>,
    /// When it was placed.
    pub created_ms: i64,
    /// JSON of the entry as it was planned.
    pub draft: String,
    /// Output tokens known to be delivered.
    pub delivered_tokens: i64,
    shares: String,
}

impl HoldRow {
    /// What it sets aside, in every budget of its chain.
    pub fn shares(&self) -> Vec<Share> {
        shares_of(&self.shares)
    }
}

impl Store {
    /// Open holds, the oldest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn holds(&self, limit: i64) -> Result<Vec<HoldRow>, StoreError> {
        self.catch_up().await?;
        let text = "select h.id, h.node, n.host, n.expires_ms, h.created_ms, h.draft,
                           h.delivered_tokens, h.shares
                    from holds h left join nodes n on n.id = h.node
                    order by h.created_ms, h.id limit $1";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(limit).fetch_all(db).await)?)
    }
}
