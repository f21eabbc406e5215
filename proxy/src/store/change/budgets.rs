//! Changes of budgets.

use super::Change;
use crate::store::{BudgetRow, StoreError, budgets::budget_columns, engine::on};

impl Change {
    /// Adds a budget; name and time zone of the owner are the owner's own.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_budget(
        &mut self,
        budget: &BudgetRow,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let text = "insert into budgets (id, owner_kind, owner_id, owner_name, time_zone, resource,
                        span, cap, provider, model, feature, enforcement, overrun, alert_percent,
                        raise_amount, raise_until_ms, created_ms)
                    select $1, $2, $3,
                        coalesce((select name from users where id = $3),
                            (select u.name from users u join api_keys k on k.user_id = u.id
                             where k.id = $3),
                            (select name from teams where id = $3),
                            (select name from organisations where id = $3), ''),
                        coalesce((select time_zone from users where id = $3),
                            (select u.time_zone from users u join api_keys k on k.user_id = u.id
                             where k.id = $3),
                            (select time_zone from teams where id = $3),
                            (select time_zone from organisations where id = $3), 'UTC'),
                        $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&budget.id)
            .bind(&budget.owner_kind)
            .bind(&budget.owner_id)
            .bind(&budget.resource)
            .bind(&budget.span)
            .bind(budget.cap)
            .bind(&budget.provider)
            .bind(&budget.model)
            .bind(&budget.feature)
            .bind(&budget.enforcement)
            .bind(&budget.overrun)
            .bind(budget.alert_percent)
            .bind(budget.raise_amount)
            .bind(budget.raise_until_ms)
            .bind(now_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// A living budget.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budget(&mut self, id: &str) -> Result<Option<BudgetRow>, StoreError> {
        let text = concat!(
            "select ",
            budget_columns!(""),
            " from budgets where id = $1 and deleted_ms is null"
        );
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(id)
            .fetch_optional(&mut **db)
            .await)?)
    }

    /// Whether there was such a budget, and it was deleted.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budget_was_deleted(&mut self, id: &str) -> Result<bool, StoreError> {
        let text = "select count(*) from budgets where id = $1 and deleted_ms is not null";
        let found: i64 = on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(id)
            .fetch_one(&mut **db)
            .await)?;
        Ok(found > 0)
    }

    /// The living budget that limits the same as this one does: same owner, resource, window and
    /// filters.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budget_like(&mut self, budget: &BudgetRow) -> Result<Option<String>, StoreError> {
        let text = "select id from budgets
                    where owner_kind = $1 and owner_id = $2 and resource = $3 and span = $4
                      and provider = $5 and model = $6 and feature = $7 and enforcement = $8
                      and deleted_ms is null and id <> $9
                    order by id limit 1";
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(&budget.owner_kind)
            .bind(&budget.owner_id)
            .bind(&budget.resource)
            .bind(&budget.span)
            .bind(&budget.provider)
            .bind(&budget.model)
            .bind(&budget.feature)
            .bind(&budget.enforcement)
            .bind(&budget.id)
            .fetch_optional(&mut **db)
            .await)?)
    }

    /// Writes the terms of a living budget anew: cap, enforcement, overrun, alert and raise.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn update_budget(&mut self, budget: &BudgetRow) -> Result<(), StoreError> {
        let text = "update budgets set cap = $2, enforcement = $3, overrun = $4,
                        alert_percent = $5, raise_amount = $6, raise_until_ms = $7
                    where id = $1 and deleted_ms is null";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&budget.id)
            .bind(budget.cap)
            .bind(&budget.enforcement)
            .bind(&budget.overrun)
            .bind(budget.alert_percent)
            .bind(budget.raise_amount)
            .bind(budget.raise_until_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Deletes a budget; open holds on it still settle. Returns false when there is none.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delete_budget(&mut self, id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let text = "update budgets set deleted_ms = $2 where id = $1 and deleted_ms is null";
        let changed = on!(&mut self.link, db => sqlx::query(text)
            .bind(id)
            .bind(now_ms)
            .execute(&mut **db)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(changed == 1)
    }
}
