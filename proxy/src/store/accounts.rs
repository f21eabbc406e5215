//! Users and API keys.

use super::{BudgetRow, Store, StoreError};
use sqlx::FromRow;

/// A user.
#[derive(Clone, Debug, FromRow)]
pub struct UserRow {
    /// ULID.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// `member` or `admin`.
    pub role: String,
    /// IANA name; budgets of the user follow its calendar.
    pub time_zone: String,
    /// JSON of the permissions.
    pub permissions: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it was deleted.
    pub deleted_ms: Option<i64>,
}

/// An API key, without its secret.
#[derive(Clone, Debug, FromRow)]
pub struct KeyRow {
    /// ULID.
    pub id: String,
    /// Its owner.
    pub user_id: String,
    /// Label for people.
    pub name: String,
    /// `member` or `admin`.
    pub role: String,
    /// Argon2 hash of the secret, PHC text.
    pub secret_hash: String,
    /// JSON of the permissions.
    pub permissions: String,
    /// Requests a minute; absent: no limit.
    pub rate_per_minute: Option<i64>,
    /// When it was made.
    pub created_ms: i64,
    /// When it stops working.
    pub expires_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// A key together with its user.
#[derive(Clone, Debug)]
pub struct Account {
    /// The key.
    pub key: KeyRow,
    /// Its owner.
    pub user: UserRow,
}

impl Store {
    /// Adds a user together with its budgets, or neither.
    ///
    /// # Errors
    /// `Taken` when the name is; any database failure.
    pub async fn insert_user(
        &self,
        user: &UserRow,
        budgets: &[BudgetRow],
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        sqlx::query(
            "insert into users (id, name, role, time_zone, permissions, created_ms)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&user.id)
        .bind(&user.name)
        .bind(&user.role)
        .bind(&user.time_zone)
        .bind(&user.permissions)
        .bind(user.created_ms)
        .execute(&mut *transaction)
        .await?;
        for budget in budgets {
            budget.insert(&mut transaction, user.created_ms).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The living user of a name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn user_named(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        Ok(sqlx::query_as("select * from users where name = $1 and deleted_ms is null")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?)
    }

    /// All living users by name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        Ok(sqlx::query_as("select * from users where deleted_ms is null order by name")
            .fetch_all(&self.pool)
            .await?)
    }

    /// Deletes a user: its keys stop working, its usage stays, its name is free again.
    /// Returns false when there is no such user.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delete_user(&self, name: &str, now_ms: i64) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update users set deleted_ms = $2, name = name || '#' || id
             where name = $1 and deleted_ms is null",
        )
        .bind(name)
        .bind(now_ms)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Adds a key together with its budgets, or neither.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_key(&self, key: &KeyRow, budgets: &[BudgetRow]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        sqlx::query(
            "insert into api_keys (id, user_id, name, role, secret_hash, permissions,
                                   rate_per_minute, created_ms, expires_ms)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&key.id)
        .bind(&key.user_id)
        .bind(&key.name)
        .bind(&key.role)
        .bind(&key.secret_hash)
        .bind(&key.permissions)
        .bind(key.rate_per_minute)
        .bind(key.created_ms)
        .bind(key.expires_ms)
        .execute(&mut *transaction)
        .await?;
        for budget in budgets {
            budget.insert(&mut transaction, key.created_ms).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// A key with its user, whatever their state.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn account(&self, key_id: &str) -> Result<Option<Account>, StoreError> {
        let key: Option<KeyRow> = sqlx::query_as("select * from api_keys where id = $1")
            .bind(key_id)
            .fetch_optional(&self.pool)
            .await?;
        let Some(key) = key else { return Ok(None) };
        let user = sqlx::query_as("select * from users where id = $1")
            .bind(&key.user_id)
            .fetch_one(&self.pool)
            .await?;
        Ok(Some(Account { key, user }))
    }

    /// All keys, or those of one user, the newest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn keys(&self, user_id: Option<&str>) -> Result<Vec<KeyRow>, StoreError> {
        Ok(sqlx::query_as(
            "select * from api_keys where $1 is null or user_id = $1
             order by created_ms desc, id desc",
        )
        .bind(user_id)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Revokes a key. Returns false when there is no such key or it was revoked before.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn revoke_key(&self, key_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let done =
            sqlx::query("update api_keys set revoked_ms = $2 where id = $1 and revoked_ms is null")
                .bind(key_id)
                .bind(now_ms)
                .execute(&self.pool)
                .await?;
        Ok(done.rows_affected() == 1)
    }
}
