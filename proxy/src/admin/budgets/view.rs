//! Budgets as operators see them.

use crate::store::BudgetRow;
use serde::{Deserialize, Serialize};
use tollgate_types::BudgetStatus;

/// A budget's terms as operators see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetView {
    /// ULID.
    pub id: String,
    /// `organisation`, `team`, `user` or `key`; `default` for one that new users get a copy of.
    pub owner_kind: String,
    /// Id of the owner.
    pub owner_id: String,
    /// IANA name of the zone whose calendar it follows.
    pub time_zone: String,
    /// `cost` (nano-dollars), `tokens` or `requests`.
    pub resource: String,
    /// `minute` to `total`.
    pub window: String,
    /// The most that may be spent in one window, in the resource's unit; no raise included.
    pub cap: i64,
    /// Pattern of the providers that count.
    pub provider: String,
    /// Pattern of the models that count, as `provider/model`.
    pub model: String,
    /// The feature that counts, or `*`.
    pub feature: String,
    /// It limits nothing and only tells.
    pub soft: bool,
    /// `clamp` or `refuse`.
    pub overrun: String,
    /// Somebody is told when so many percent are spent.
    pub alert_percent: Option<i64>,
    /// Added to the cap for a time.
    pub raise_amount: i64,
    /// Until when.
    pub raise_until_ms: i64,
}

/// A budget's terms, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetStanding {
    /// Its terms.
    #[serde(flatten)]
    pub terms: BudgetView,
    /// The window that runs: counters, its end, and the cap with a raise.
    pub now: BudgetStatus,
}

impl BudgetView {
    /// Of a row.
    pub fn of(row: &BudgetRow) -> Self {
        Self {
            id: row.id.clone(),
            owner_kind: row.owner_kind.clone(),
            owner_id: row.owner_id.clone(),
            time_zone: row.time_zone.clone(),
            resource: row.resource.clone(),
            window: row.span.clone(),
            cap: row.cap,
            provider: row.provider.clone(),
            model: row.model.clone(),
            feature: row.feature.clone(),
            soft: row.enforcement == "soft",
            overrun: row.overrun.clone(),
            alert_percent: row.alert_percent,
            raise_amount: row.raise_amount,
            raise_until_ms: row.raise_until_ms,
        }
    }
}
