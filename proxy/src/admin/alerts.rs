//! Alerts as operators see them.

use super::{AdminError, Office};
use crate::store::AlertRow;
use serde::{Deserialize, Serialize};

/// A budget that passed the percentage at which somebody is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// Id of the budget.
    pub budget: String,
    /// Whose it is: `team:red`, `key:01J...`.
    pub owner: String,
    /// `cost` (nano-dollars), `tokens` or `requests`.
    pub resource: String,
    /// `minute` to `total`.
    pub window: String,
    /// Where the window begins.
    pub window_start_ms: i64,
    /// The percentage.
    pub percent: i64,
    /// What was spent when it was noticed.
    pub spent: i64,
    /// Of how much.
    pub cap: i64,
    /// The budget limits nothing.
    pub soft: bool,
    /// When it was noticed.
    pub noticed_ms: i64,
    /// When somebody was told.
    pub delivered_ms: Option<i64>,
    /// How often that was tried.
    pub attempts: i64,
}

impl AlertView {
    fn of(row: AlertRow) -> Self {
        let named = if row.owner_kind == "key" { &row.owner_id } else { &row.owner_name };
        Self {
            owner: format!("{}:{named}", row.owner_kind),
            budget: row.budget_id,
            resource: row.resource,
            window: row.span,
            window_start_ms: row.start_ms,
            percent: row.percent,
            spent: row.spent,
            cap: row.cap,
            soft: row.enforcement == "soft",
            noticed_ms: row.at_ms,
            delivered_ms: row.delivered_ms,
            attempts: row.attempts,
        }
    }
}

impl Office {
    /// The newest alerts.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn alerts(&self, limit: u32) -> Result<Vec<AlertView>, AdminError> {
        let rows = self.store().alerts(limit.into()).await?;
        Ok(rows.into_iter().map(AlertView::of).collect())
    }
}
