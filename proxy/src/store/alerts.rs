//! Budgets of which somebody is told, and whether somebody was.

use super::{
    Books, Store, StoreError,
    books::json,
    engine::{on, with_rows},
};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

/// A window that passed the percentage at which somebody is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAlert {
    /// The budget.
    pub budget_id: String,
    /// Where the window begins.
    pub start_ms: i64,
    /// The percentage.
    pub percent: i64,
    /// What was spent when it was noticed.
    pub spent: i64,
    /// Of how much.
    pub cap: i64,
    /// When it was noticed.
    pub at_ms: i64,
}

/// An alert with what its budget is.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct AlertRow {
    /// The budget.
    pub budget_id: String,
    /// Where the window begins.
    pub start_ms: i64,
    /// The percentage.
    pub percent: i64,
    /// What was spent when it was noticed.
    pub spent: i64,
    /// Of how much.
    pub cap: i64,
    /// When it was noticed.
    pub at_ms: i64,
    /// When somebody was told.
    pub delivered_ms: Option<i64>,
    /// How often that was tried.
    pub attempts: i64,
    /// When it is tried next.
    pub next_ms: i64,
    /// As [`BudgetRow::owner_kind`](super::BudgetRow::owner_kind).
    pub owner_kind: String,
    /// Id of the owner.
    pub owner_id: String,
    /// Name of the owner, or of the key's user.
    pub owner_name: String,
    /// `cost`, `tokens` or `requests`.
    pub resource: String,
    /// `minute` to `total`.
    pub span: String,
    /// `hard` or `soft`.
    pub enforcement: String,
}

impl Books {
    /// Notes that windows passed their percentage; returns which of them are new, as
    /// `(budget, start of the window, percentage)`.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_alerts(
        &mut self,
        alerts: &[NewAlert],
    ) -> Result<Vec<(String, i64, i64)>, StoreError> {
        if alerts.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<_> = alerts
            .iter()
            .map(|a| (&a.budget_id, a.start_ms, a.percent, a.spent, a.cap, a.at_ms))
            .collect();
        let rows = json::text(rows)?;
        let text = self.link.text(with_rows!(
            "insert into alerts (budget_id, start_ms, percent, spent, cap, at_ms)
             select e.value ->> 0, cast(e.value ->> 1 as bigint), cast(e.value ->> 2 as bigint),
                    cast(e.value ->> 3 as bigint), cast(e.value ->> 4 as bigint),
                    cast(e.value ->> 5 as bigint)
             from",
            "e where true order by 1, 2, 3
             on conflict (budget_id, start_ms, percent) do nothing
             returning budget_id, start_ms, percent"
        ));
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(&rows)
            .fetch_all(&mut *db)
            .await)?)
    }
}

impl Store {
    /// The newest alerts.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn alerts(&self, limit: i64) -> Result<Vec<AlertRow>, StoreError> {
        self.catch_up().await?;
        let text = "select a.budget_id, a.start_ms, a.percent, a.spent, a.cap, a.at_ms,
                           a.delivered_ms, a.attempts, a.next_ms, b.owner_kind, b.owner_id,
                           b.owner_name, b.resource, b.span, b.enforcement
                    from alerts a join budgets b on b.id = a.budget_id
                    order by a.at_ms desc, a.budget_id, a.start_ms, a.percent limit $1";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(limit).fetch_all(db).await)?)
    }

    /// Alerts of which nobody was told yet and that are to be tried now, the oldest first; none
    /// that were noticed before `since_ms` or tried `attempts` times.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn waiting_alerts(
        &self,
        (now_ms, since_ms): (i64, i64),
        attempts: i64,
        limit: i64,
    ) -> Result<Vec<AlertRow>, StoreError> {
        let text = "select a.budget_id, a.start_ms, a.percent, a.spent, a.cap, a.at_ms,
                           a.delivered_ms, a.attempts, a.next_ms, b.owner_kind, b.owner_id,
                           b.owner_name, b.resource, b.span, b.enforcement
                    from alerts a join budgets b on b.id = a.budget_id
                    where a.delivered_ms is null and a.next_ms <= $1 and a.at_ms >= $2
                      and a.attempts < $3
                    order by a.at_ms, a.budget_id, a.start_ms, a.percent limit $4";
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(now_ms)
            .bind(since_ms)
            .bind(attempts)
            .bind(limit)
            .fetch_all(db)
            .await)?)
    }

    /// Takes the next try at an alert for this server; nobody else tries before `next_ms`. Returns
    /// false when somebody else took it, or has told already.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn claim_alert(&self, alert: &AlertRow, next_ms: i64) -> Result<bool, StoreError> {
        let text = "update alerts set attempts = attempts + 1, next_ms = $5
                    where budget_id = $1 and start_ms = $2 and percent = $3 and attempts = $4
                      and delivered_ms is null";
        let changed = on!(&self.pool, db => sqlx::query(text)
            .bind(&alert.budget_id)
            .bind(alert.start_ms)
            .bind(alert.percent)
            .bind(alert.attempts)
            .bind(next_ms)
            .execute(db)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(changed == 1)
    }

    /// Somebody was told.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn alert_delivered(&self, alert: &AlertRow, now_ms: i64) -> Result<(), StoreError> {
        let text = "update alerts set delivered_ms = $4
                    where budget_id = $1 and start_ms = $2 and percent = $3";
        on!(&self.pool, db => sqlx::query(text)
            .bind(&alert.budget_id)
            .bind(alert.start_ms)
            .bind(alert.percent)
            .bind(now_ms)
            .execute(db)
            .await
            .map(drop))?;
        Ok(())
    }
}
