//! Budgets as their owners see them.

use super::{
    known::Charged,
    window::{Bounds, bounds},
};
use crate::store::{BudgetRow, Counters, Store, StoreError, WindowKey};
use std::sync::Arc;
use tollgate_types::{BudgetStatus, Resource, Window};

/// Resource and window of a budget row.
pub(super) fn terms(row: &BudgetRow) -> Result<(Resource, Window), StoreError> {
    let resource = row.resource.parse().map_err(StoreError::Row)?;
    let window = row.span.parse().map_err(StoreError::Row)?;
    Ok((resource, window))
}

/// One budget with its counters.
pub(super) fn of_row(
    row: &BudgetRow,
    counters: Counters,
    resets_at_ms: Option<i64>,
    now_ms: i64,
) -> Result<BudgetStatus, StoreError> {
    let (resource, window) = terms(row)?;
    let owner = match row.owner_kind.as_str() {
        "key" => format!("key:{}", row.owner_id),
        "default" if row.owner_id.is_empty() => "default".to_owned(),
        kind => format!("{kind}:{}", row.owner_name),
    };
    let limited = |pattern: &String| (pattern != "*").then(|| pattern.clone());
    Ok(BudgetStatus {
        budget: row.id.clone(),
        owner,
        resource,
        window,
        cap: row.cap_at(now_ms),
        spent: counters.spent,
        held: counters.held,
        resets_at_ms,
        provider: limited(&row.provider),
        model: limited(&row.model),
        feature: limited(&row.feature),
        soft: row.enforcement == "soft",
    })
}

/// A budget as a batch left it. Whoever is told makes the words of it, in its own time: the writer
/// has no time for them.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub charged: Charged,
    pub now_ms: i64,
}

impl Standing {
    /// The budget as its owner sees it.
    ///
    /// # Errors
    /// When the row makes no sense.
    pub(super) fn told(&self) -> Result<BudgetStatus, StoreError> {
        of_charged(&self.charged, self.now_ms)
    }
}

pub(super) fn of_charged(charged: &Charged, now_ms: i64) -> Result<BudgetStatus, StoreError> {
    of_row(&charged.budget, charged.counters, charged.end_ms, now_ms)
}

/// A budget of which nothing was ever held.
///
/// # Errors
/// When the row makes no sense.
pub fn of_new(row: &BudgetRow, now_ms: i64) -> Result<BudgetStatus, StoreError> {
    let (_, window) = terms(row)?;
    let window = bounds(window, now_ms, &row.time_zone);
    of_row(row, Counters::default(), window.end_ms, now_ms)
}

/// Budgets with the counters of the windows that `now_ms` belongs to.
///
/// # Errors
/// Any database failure.
pub async fn of_rows(
    store: &Store,
    rows: Vec<BudgetRow>,
    now_ms: i64,
) -> Result<Vec<BudgetStatus>, StoreError> {
    let charged = charged(store, rows, now_ms).await?;
    charged.iter().map(|charged| of_charged(charged, now_ms)).collect()
}

/// Budgets with the counters, as they stand, of the windows that `now_ms` belongs to.
///
/// # Errors
/// Any database failure.
pub(super) async fn charged(
    store: &Store,
    rows: Vec<BudgetRow>,
    now_ms: i64,
) -> Result<Vec<Charged>, StoreError> {
    let (mut windows, mut ends) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        let (_, window) = terms(row)?;
        let Bounds { start_ms, end_ms } = bounds(window, now_ms, &row.time_zone);
        windows.push(WindowKey { budget_id: row.id.as_str().into(), start_ms });
        ends.push(end_ms);
    }
    let counters = store.counters_of(&windows).await?;
    let terms = rows.into_iter().zip(windows.iter().zip(ends));
    let charged = terms.map(|(row, (window, end_ms))| Charged {
        budget: Arc::new(row),
        counters: counters.get(window).copied().unwrap_or_default(),
        end_ms,
    });
    Ok(charged.collect())
}
