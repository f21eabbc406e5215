//! Changes of API keys.

use super::Change;
use crate::store::{KeyRow, StoreError, engine::on};

impl Change {
    /// Adds a key.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_key(&mut self, key: &KeyRow) -> Result<(), StoreError> {
        let text = "insert into api_keys (id, user_id, parent_id, depth, name, role, secret_hash,
                        permissions, rate_per_minute, overrun, created_ms, expires_ms)
                    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&key.id)
            .bind(&key.user_id)
            .bind(&key.parent_id)
            .bind(key.depth)
            .bind(&key.name)
            .bind(&key.role)
            .bind(&key.secret_hash)
            .bind(&key.permissions)
            .bind(key.rate_per_minute)
            .bind(&key.overrun)
            .bind(key.created_ms)
            .bind(key.expires_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// A key, whatever its state.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn key(&mut self, id: &str) -> Result<Option<KeyRow>, StoreError> {
        let text = "select id, user_id, parent_id, depth, name, role, secret_hash, permissions,
                           rate_per_minute, overrun, created_ms, expires_ms, revoked_ms,
                           old_hash, old_until_ms
                    from api_keys where id = $1";
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(id)
            .fetch_optional(&mut **db)
            .await)?)
    }

    /// Writes a key anew: name, secret, permissions, rate, overrun and expiry.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn update_key(&mut self, key: &KeyRow) -> Result<(), StoreError> {
        let text = "update api_keys set name = $2, secret_hash = $3, permissions = $4,
                        rate_per_minute = $5, overrun = $6, expires_ms = $7, old_hash = $8,
                        old_until_ms = $9
                    where id = $1";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&key.id)
            .bind(&key.name)
            .bind(&key.secret_hash)
            .bind(&key.permissions)
            .bind(key.rate_per_minute)
            .bind(&key.overrun)
            .bind(key.expires_ms)
            .bind(&key.old_hash)
            .bind(key.old_until_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Ids of a user's keys of a role that are neither revoked nor expired.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn keys_in_force(
        &mut self,
        user_id: &str,
        role: &str,
        now_ms: i64,
    ) -> Result<Vec<String>, StoreError> {
        let text = "select id from api_keys
                    where user_id = $1 and role = $2 and revoked_ms is null
                      and (expires_ms is null or expires_ms > $3)
                    order by id";
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(user_id)
            .bind(role)
            .bind(now_ms)
            .fetch_all(&mut **db)
            .await)?)
    }

    /// How many keys a key has delegated to that are neither revoked nor expired.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn children_in_force(&mut self, id: &str, now_ms: i64) -> Result<i64, StoreError> {
        let text = "select count(*) from api_keys
                    where parent_id = $1 and revoked_ms is null
                      and (expires_ms is null or expires_ms > $2)";
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(id)
            .bind(now_ms)
            .fetch_one(&mut **db)
            .await)?)
    }

    /// Revokes a key. Returns false when there is no such key or it was revoked before.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn revoke_key(&mut self, id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let text = "update api_keys set revoked_ms = $2 where id = $1 and revoked_ms is null";
        let changed = on!(&mut self.link, db => sqlx::query(text)
            .bind(id)
            .bind(now_ms)
            .execute(&mut **db)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(changed == 1)
    }
}
