//! Budgets and the counters of their windows, read outside of the ledger's writer.

use super::{
    Store, StoreError,
    books::{Owner, WindowKey},
    engine::{on, with_rows},
};
use crate::store::books::json;
use sqlx::FromRow;
use std::collections::HashMap;

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct BudgetRow {
    /// ULID.
    pub id: String,
    /// `organisation`, `team`, `user` or `key`; `default` for one that new users get a copy of.
    pub owner_kind: String,
    /// Id of the owner; of the team, or nothing, for a default.
    pub owner_id: String,
    /// Name of the owner, or of the key's user: for people.
    pub owner_name: String,
    /// IANA name of the owner's time zone.
    pub time_zone: String,
    /// `cost`, `tokens` or `requests`.
    pub resource: String,
    /// `minute` to `total`.
    pub span: String,
    /// The most that may be spent in one window, in the resource's unit.
    pub cap: i64,
    /// Pattern of the providers that count.
    pub provider: String,
    /// Pattern of the models that count, as `provider/model`.
    pub model: String,
    /// The feature that counts, or `*`.
    pub feature: String,
    /// `hard`, or `soft`: then it limits nothing and only tells.
    pub enforcement: String,
    /// What happens when it cannot pay for the whole answer: `clamp` or `refuse`.
    pub overrun: String,
    /// Somebody is told when so many percent are spent.
    pub alert_percent: Option<i64>,
    /// Added to the cap for a time.
    pub raise_amount: i64,
    /// Until when.
    pub raise_until_ms: i64,
}

impl Default for BudgetRow {
    fn default() -> Self {
        let any = || "*".to_owned();
        Self {
            id: String::new(),
            owner_kind: String::new(),
            owner_id: String::new(),
            owner_name: String::new(),
            time_zone: "UTC".to_owned(),
            resource: String::new(),
            span: String::new(),
            cap: 0,
            provider: any(),
            model: any(),
            feature: any(),
            enforcement: "hard".to_owned(),
            overrun: "clamp".to_owned(),
            alert_percent: None,
            raise_amount: 0,
            raise_until_ms: 0,
        }
    }
}

/// The columns of a [`BudgetRow`], each behind the name of its table: `"b."`, or nothing.
macro_rules! budget_columns {
    ($of:literal) => {
        concat!(
            $of,
            "id, ",
            $of,
            "owner_kind, ",
            $of,
            "owner_id, ",
            $of,
            "owner_name, ",
            $of,
            "time_zone, ",
            $of,
            "resource, ",
            $of,
            "span, ",
            $of,
            "cap, ",
            $of,
            "provider, ",
            $of,
            "model, ",
            $of,
            "feature, ",
            $of,
            "enforcement, ",
            $of,
            "overrun, ",
            $of,
            "alert_percent, ",
            $of,
            "raise_amount, ",
            $of,
            "raise_until_ms"
        )
    };
}

pub(super) use budget_columns;

/// What a window has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct Counters {
    /// Settled.
    pub spent: i64,
    /// Set aside for running requests.
    pub held: i64,
}

impl BudgetRow {
    /// The cap at a moment, a raise included.
    pub fn cap_at(&self, now_ms: i64) -> i64 {
        let raise = if now_ms < self.raise_until_ms { self.raise_amount } else { 0 };
        self.cap.saturating_add(raise)
    }
}

impl Store {
    /// Adds a budget; name and time zone of the owner are the owner's own.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_budget(&self, budget: &BudgetRow, now_ms: i64) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        change.insert_budget(budget, now_ms).await?;
        change.commit().await
    }

    /// A living budget.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budget(&self, id: &str) -> Result<Option<BudgetRow>, StoreError> {
        let text = concat!(
            "select ",
            budget_columns!(""),
            " from budgets where id = $1 and deleted_ms is null"
        );
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(id).fetch_optional(db).await)?)
    }

    /// Every living budget.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budgets(&self) -> Result<Vec<BudgetRow>, StoreError> {
        let text = concat!(
            "select ",
            budget_columns!(""),
            " from budgets where deleted_ms is null
                    order by owner_name, owner_kind desc, id"
        );
        Ok(on!(&self.pool, db => sqlx::query_as(text).fetch_all(db).await)?)
    }

    /// Living budgets of these owners, in their order.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budgets_of(&self, owners: &[Owner]) -> Result<Vec<BudgetRow>, StoreError> {
        let asked: Vec<_> = owners
            .iter()
            .enumerate()
            .map(|(asked, owner)| (asked, owner.kind, &owner.id))
            .collect();
        let asked = json::text(asked)?;
        let text = self.pool.text(with_rows!(
            concat!("select ", budget_columns!("b."), " from"),
            "e cross join budgets b
             where b.owner_kind = e.value ->> 1 and b.owner_id = e.value ->> 2
               and b.deleted_ms is null
             order by cast(e.value ->> 0 as bigint), b.id"
        ));
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(asked).fetch_all(db).await)?)
    }

    /// What a window has counted; zero when nothing was ever held in it.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn counters(&self, budget_id: &str, start_ms: i64) -> Result<Counters, StoreError> {
        let window = WindowKey { budget_id: budget_id.into(), start_ms };
        Ok(self.counters_of(&[window]).await?.into_values().next().unwrap_or_default())
    }

    /// What windows have counted; one in which nothing was ever held is left out.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn counters_of(
        &self,
        windows: &[WindowKey],
    ) -> Result<HashMap<WindowKey, Counters>, StoreError> {
        self.catch_up().await?;
        let asked: Vec<_> = windows.iter().map(|w| (&w.budget_id, w.start_ms)).collect();
        let asked = json::text(asked)?;
        let text = self.pool.text(with_rows!(
            "select w.budget_id, w.start_ms, w.spent, w.held from",
            "e cross join budget_windows w
             where w.budget_id = e.value ->> 0 and w.start_ms = cast(e.value ->> 1 as bigint)"
        ));
        let rows: Vec<(String, i64, i64, i64)> =
            on!(&self.pool, db => sqlx::query_as(text).bind(asked).fetch_all(db).await)?;
        let counted = rows.into_iter().map(|(budget_id, start_ms, spent, held)| {
            (WindowKey { budget_id: budget_id.into(), start_ms }, Counters { spent, held })
        });
        Ok(counted.collect())
    }

    /// Changes the cap. Returns false when there is no such living budget.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn set_cap(&self, budget_id: &str, cap: i64) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let Some(budget) = change.budget(budget_id).await? else {
            return Ok(false);
        };
        change.update_budget(&BudgetRow { cap, ..budget }).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Deletes a budget; open holds on it still settle. Returns false when there is none.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delete_budget(&self, budget_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let deleted = change.delete_budget(budget_id, now_ms).await?;
        change.commit().await?;
        Ok(deleted)
    }
}
