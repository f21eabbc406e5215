//! What verifies the signatures of short-lived tokens.

use super::{Change, Store, StoreError, engine::on};
use sqlx::FromRow;

/// What verifies the signatures of one key. Nothing in it can sign.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct TokenKeyRow {
    /// ULID.
    pub kid: String,
    /// `EdDSA` or `HS256`.
    pub algorithm: String,
    /// Of `EdDSA` the public key, of `HS256` what tells whether a server has the right secret; in
    /// base64 for URLs.
    pub public_key: String,
    /// When it was made.
    pub created_ms: i64,
    /// Until when it signs.
    pub signs_until_ms: i64,
    /// When the last token that it signed is over.
    pub ends_ms: i64,
}

/// More than servers can have made within the life of a key.
const MOST: i64 = 10_000;

impl Store {
    /// Adds a key, and forgets those that ended before `forgotten_ms`.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_token_key(
        &self,
        key: &TokenKeyRow,
        forgotten_ms: i64,
    ) -> Result<(), StoreError> {
        let text = "insert into token_keys
                        (kid, algorithm, public_key, created_ms, signs_until_ms, ends_ms)
                    values ($1, $2, $3, $4, $5, $6)";
        on!(&self.pool, db => sqlx::query(text)
            .bind(&key.kid)
            .bind(&key.algorithm)
            .bind(&key.public_key)
            .bind(key.created_ms)
            .bind(key.signs_until_ms)
            .bind(key.ends_ms)
            .execute(db)
            .await
            .map(drop))?;
        let text = "delete from token_keys where ends_ms < $1";
        on!(&self.pool, db => sqlx::query(text).bind(forgotten_ms).execute(db).await.map(drop))?;
        Ok(())
    }

    /// All keys, the newest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn token_keys(&self) -> Result<Vec<TokenKeyRow>, StoreError> {
        let text = "select kid, algorithm, public_key, created_ms, signs_until_ms, ends_ms
                    from token_keys order by created_ms desc limit $1";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(MOST).fetch_all(db).await)?)
    }
}

impl Change {
    /// Keys sign nothing from now on; what they signed stays good for its time. Returns how many
    /// did until now.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn retire_token_keys(&mut self, now_ms: i64) -> Result<u64, StoreError> {
        let text = "update token_keys
                    set ends_ms = $1 + (ends_ms - signs_until_ms), signs_until_ms = $1
                    where signs_until_ms > $1";
        Ok(on!(&mut self.link, db => sqlx::query(text)
            .bind(now_ms)
            .execute(&mut **db)
            .await
            .map(|done| done.rows_affected()))?)
    }

    /// Nothing that any key signed is good from now on. Returns how many keys there were.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn end_token_keys(&mut self) -> Result<u64, StoreError> {
        let text = "delete from token_keys";
        Ok(on!(&mut self.link, db => sqlx::query(text)
            .execute(&mut **db)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
