//! Administrative requests that came with a key of their own, so that a repetition does nothing.

use super::{Change, StoreError, engine::on};
use sqlx::FromRow;

/// What a request under a key of repetition did.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct OperationRow {
    /// The key, with whose it is.
    pub idempotency_key: String,
    /// Hash over what was asked for.
    pub fingerprint: String,
    /// JSON of the answer; never a secret.
    pub answer: String,
    /// When.
    pub at_ms: i64,
}

impl Change {
    /// What a request under this key did before.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn operation(&mut self, key: &str) -> Result<Option<OperationRow>, StoreError> {
        let text = "select idempotency_key, fingerprint, answer, at_ms
                    from admin_operations where idempotency_key = $1";
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(key)
            .fetch_optional(&mut **db)
            .await)?)
    }

    /// Remembers what a request did.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_operation(&mut self, operation: &OperationRow) -> Result<(), StoreError> {
        let text = "insert into admin_operations (idempotency_key, fingerprint, answer, at_ms)
                    values ($1, $2, $3, $4)";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&operation.idempotency_key)
            .bind(&operation.fingerprint)
            .bind(&operation.answer)
            .bind(operation.at_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Forgets requests that are older.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn forget_operations(&mut self, before_ms: i64) -> Result<(), StoreError> {
        let text = "delete from admin_operations where at_ms < $1";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(before_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }
}
