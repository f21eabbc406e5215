//! Prices that were set in the database, every one that ever was, and entries to be priced again.

use super::{Change, Store, StoreError, Tokens, engine::on};
use serde::Serialize;
use sqlx::FromRow;

/// A price from some moment on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, FromRow)]
pub struct PriceRow {
    /// ULID.
    pub id: String,
    /// `provider/model`, or the beginning of such names and a `*`.
    pub model: String,
    /// JSON of the price, as in the configuration.
    pub entry: String,
    /// From when on it counts.
    pub effective_ms: i64,
    /// When it was set.
    pub created_ms: i64,
    /// When it was taken back; absent while it is not.
    pub ended_ms: Option<i64>,
}

/// How many prices there are and how many were taken back: it changes with every change of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct PriceMark {
    /// All that ever were.
    pub set: i64,
    /// Those that were taken back.
    pub ended: i64,
}

/// What an entry used and what it cost.
#[derive(Clone, Debug, Default, FromRow)]
pub struct CostRow {
    /// Tollgate's id of the request.
    pub request_id: String,
    /// 1 for the first attempt.
    pub attempt: i64,
    /// Name of the user.
    pub user_name: String,
    /// With which key.
    pub key_id: String,
    /// Provider that answered.
    pub provider: String,
    /// Model that answered.
    pub model: String,
    /// How it ended.
    pub disposition: String,
    /// Tokens by kind.
    #[sqlx(flatten)]
    pub tokens: Tokens,
    /// JSON: counted fees.
    pub tool_fees: String,
    /// What it cost; absent when the model had no price.
    pub cost_nano_usd: Option<i64>,
    /// When it was admitted.
    pub started_ms: i64,
}

/// The place of an entry in the order of [`Store::costs_after`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostPlace {
    /// When it was admitted.
    pub started_ms: i64,
    /// Its request.
    pub request_id: String,
    /// Its attempt.
    pub attempt: i64,
}

impl Store {
    /// Whether prices have changed can be told from this.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn price_mark(&self) -> Result<PriceMark, StoreError> {
        let text = "select cast(count(*) as bigint) as \"set\",
                           cast(count(ended_ms) as bigint) as ended
                    from prices";
        Ok(on!(&self.pool, db => sqlx::query_as(text).fetch_one(db).await)?)
    }

    /// Every price that was not taken back, and those of the future.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn living_prices(&self) -> Result<Vec<PriceRow>, StoreError> {
        let text = "select id, model, entry, effective_ms, created_ms, ended_ms from prices
                    where ended_ms is null order by created_ms, id";
        Ok(on!(&self.pool, db => sqlx::query_as(text).fetch_all(db).await)?)
    }

    /// Every price that had begun at a moment and was not taken back by then.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn prices_at(&self, at_ms: i64) -> Result<Vec<PriceRow>, StoreError> {
        let text = "select id, model, entry, effective_ms, created_ms, ended_ms from prices
                    where effective_ms <= $1 and (ended_ms is null or ended_ms > $1)
                    order by created_ms, id";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(at_ms).fetch_all(db).await)?)
    }

    /// Every price that ever was set, of one name or of all, the newest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn price_history(
        &self,
        model: Option<&str>,
        limit: u32,
    ) -> Result<Vec<PriceRow>, StoreError> {
        let text = "select id, model, entry, effective_ms, created_ms, ended_ms from prices
                    where cast($1 as text) is null or model = $1
                    order by created_ms desc, id desc limit $2";
        let limit = i64::from(limit);
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(model)
            .bind(limit)
            .fetch_all(db)
            .await)?)
    }

    /// What entries of a span of time used and cost, the oldest first, at most `limit` after a
    /// place.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn costs_after(
        &self,
        (since_ms, until_ms): (i64, i64),
        place: Option<&CostPlace>,
        limit: u32,
    ) -> Result<Vec<CostRow>, StoreError> {
        let text = "select e.request_id, e.attempt, u.name as user_name, e.key_id, e.provider,
                           e.model, e.disposition, e.input, e.cache_read, e.cache_write_5m,
                           e.cache_write_1h, e.audio_in, e.image_in, e.output, e.reasoning,
                           e.audio_out, e.tool_fees, e.cost_nano_usd, e.started_ms
                    from usage_entries e join users u on u.id = e.user_id
                    where e.started_ms >= $1 and e.started_ms < $2
                      and (e.started_ms, e.request_id, e.attempt) > ($3, $4, $5)
                    order by e.started_ms, e.request_id, e.attempt limit $6";
        let (after_ms, request_id, attempt) = match place {
            Some(place) => (place.started_ms, place.request_id.as_str(), place.attempt),
            None => (i64::MIN, "", 0),
        };
        let limit = i64::from(limit);
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(since_ms)
            .bind(until_ms)
            .bind(after_ms)
            .bind(request_id)
            .bind(attempt)
            .bind(limit)
            .fetch_all(db)
            .await)?)
    }
}

impl Change {
    /// Adds a price.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_price(&mut self, row: &PriceRow) -> Result<(), StoreError> {
        let text = "insert into prices (id, model, entry, effective_ms, created_ms, ended_ms)
                    values ($1, $2, $3, $4, $5, $6)";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&row.id)
            .bind(&row.model)
            .bind(&row.entry)
            .bind(row.effective_ms)
            .bind(row.created_ms)
            .bind(row.ended_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// The prices of a name that were not taken back, also those of the future.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn prices_of(&mut self, model: &str) -> Result<Vec<PriceRow>, StoreError> {
        let text = "select id, model, entry, effective_ms, created_ms, ended_ms from prices
                    where model = $1 and ended_ms is null order by created_ms, id";
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(model)
            .fetch_all(&mut **db)
            .await)?)
    }

    /// Takes back the prices of a name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn end_prices(&mut self, model: &str, now_ms: i64) -> Result<(), StoreError> {
        let text = "update prices set ended_ms = $1 where model = $2 and ended_ms is null";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(now_ms)
            .bind(model)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }
}

impl CostRow {
    /// Its place.
    pub fn place(&self) -> CostPlace {
        CostPlace {
            started_ms: self.started_ms,
            request_id: self.request_id.clone(),
            attempt: self.attempt,
        }
    }
}
