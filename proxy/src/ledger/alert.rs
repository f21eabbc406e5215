//! Budgets that spent so much of their cap that somebody is told.

use super::known::{Charged, Known};
use crate::store::{BudgetRow, NewAlert, WindowKey};
use std::collections::BTreeMap;

/// A soft budget limits nothing, so that somebody is told is all that it does.
const OF_A_SOFT_BUDGET: i64 = 100;

/// What there is to tell, once a window and percentage.
pub(super) type Alerts = BTreeMap<(WindowKey, i64), NewAlert>;

/// Notes a window that was charged, if somebody is to be told. Whether that was done before is not
/// asked: a cap that is lowered, or a raise that ends, can bring a window past its percentage too.
pub(super) fn note(alerts: &mut Alerts, window: &WindowKey, charged: &Charged, now_ms: i64) {
    let Some(percent) = percent_of(&charged.budget) else { return };
    let (spent, cap) = (charged.counters.spent, charged.budget.cap_at(now_ms));
    if i128::from(spent) * 100 < i128::from(cap) * i128::from(percent) {
        return;
    }
    let alert = NewAlert {
        budget_id: window.budget_id.as_ref().into(),
        start_ms: window.start_ms,
        percent,
        spent,
        cap,
        at_ms: now_ms,
    };
    alerts.entry((window.clone(), percent)).or_insert(alert);
}

/// Those that are not known to be in the books: a budget that has passed its percentage does so
/// again with every call until its window is over.
pub(super) fn unheard(alerts: Alerts, known: &Known) -> Vec<NewAlert> {
    let unheard =
        alerts.into_iter().filter(|((window, percent), _)| !known.has_alerted(window, *percent));
    unheard.map(|(_, alert)| alert).collect()
}

fn percent_of(budget: &BudgetRow) -> Option<i64> {
    let soft = || (budget.enforcement == "soft").then_some(OF_A_SOFT_BUDGET);
    budget.alert_percent.or_else(soft)
}

/// Says in the log what was written for the first time.
pub(super) fn log(alerts: &[NewAlert], new: &[(String, i64, i64)]) {
    let is_new = |alert: &&NewAlert| {
        new.iter().any(|(budget_id, start_ms, percent)| {
            (budget_id, *start_ms, *percent) == (&alert.budget_id, alert.start_ms, alert.percent)
        })
    };
    for NewAlert { budget_id, percent, spent, cap, .. } in alerts.iter().filter(is_new) {
        tracing::warn!(budget = %budget_id, percent, spent, cap, "a budget passed its alert");
    }
}
