//! Budgets and the counters of their windows, read outside of the ledger's writer.

use super::{Store, StoreError};
use sqlx::{FromRow, SqliteConnection};

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct BudgetRow {
    /// ULID.
    pub id: String,
    /// `user` or `key`.
    pub owner_kind: String,
    /// Id of the user or key.
    pub owner_id: String,
    /// Name of the user, or of the key's user: for people.
    pub owner_name: String,
    /// IANA name of the owner's time zone.
    pub time_zone: String,
    /// `cost`, `tokens` or `requests`.
    pub resource: String,
    /// `minute` to `total`.
    pub span: String,
    /// The most that may be spent in one window, in the resource's unit.
    pub cap: i64,
}

/// What a window has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Counters {
    /// Settled.
    pub spent: i64,
    /// Set aside for running requests.
    pub held: i64,
}

impl BudgetRow {
    pub(super) async fn insert(
        &self,
        connection: &mut SqliteConnection,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into budgets (id, owner_kind, owner_id, resource, span, cap, created_ms)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&self.id)
        .bind(&self.owner_kind)
        .bind(&self.owner_id)
        .bind(&self.resource)
        .bind(&self.span)
        .bind(self.cap)
        .bind(now_ms)
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Store {
    /// Adds a budget; the owner's name and time zone come from the owner.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_budget(&self, budget: &BudgetRow, now_ms: i64) -> Result<(), StoreError> {
        budget.insert(&mut *self.pool.acquire().await?, now_ms).await
    }

    /// Living budgets of a user, of a key, or, when both are absent, of everybody.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budgets(
        &self,
        user_id: Option<&str>,
        key_id: Option<&str>,
    ) -> Result<Vec<BudgetRow>, StoreError> {
        Ok(sqlx::query_as(
            "select b.id, b.owner_kind, b.owner_id, u.name as owner_name, u.time_zone,
                    b.resource, b.span, b.cap
             from budgets b
             left join api_keys k on b.owner_kind = 'key' and k.id = b.owner_id
             join users u on u.id = case b.owner_kind when 'key' then k.user_id else b.owner_id end
             where b.deleted_ms is null
               and (($1 is null and $2 is null)
                    or (b.owner_kind = 'user' and b.owner_id = $1)
                    or (b.owner_kind = 'key' and b.owner_id = $2))
             order by u.name, b.owner_kind desc, b.id",
        )
        .bind(user_id)
        .bind(key_id)
        .fetch_all(&self.pool)
        .await?)
    }

    /// What a window has counted; zero when nothing was ever held in it.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn counters(&self, budget_id: &str, start_ms: i64) -> Result<Counters, StoreError> {
        let row = sqlx::query_as(
            "select spent, held from budget_windows where budget_id = $1 and start_ms = $2",
        )
        .bind(budget_id)
        .bind(start_ms)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.unwrap_or_default())
    }

    /// Changes the cap. Returns false when there is no such living budget.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn set_cap(&self, budget_id: &str, cap: i64) -> Result<bool, StoreError> {
        let done = sqlx::query("update budgets set cap = $2 where id = $1 and deleted_ms is null")
            .bind(budget_id)
            .bind(cap)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a budget; open holds on it still settle. Returns false when there is none.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delete_budget(&self, budget_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let done =
            sqlx::query("update budgets set deleted_ms = $2 where id = $1 and deleted_ms is null")
                .bind(budget_id)
                .bind(now_ms)
                .execute(&self.pool)
                .await?;
        Ok(done.rows_affected() == 1)
    }
}
