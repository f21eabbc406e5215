//! Amounts, times and budgets in words for people.

use jiff::{Timestamp, tz::TimeZone};
use tollgate_types::{BudgetStatus, NanoUsd, Receipt, Resource, Usage};

/// An amount in the unit of what a budget counts.
pub(crate) fn amount(resource: Resource, amount: i64) -> String {
    match resource {
        Resource::Cost => NanoUsd(amount).to_string(),
        Resource::Tokens | Resource::Requests => amount.to_string(),
    }
}

/// A cost; a model without a price has none.
pub(crate) fn cost(cost: Option<NanoUsd>) -> String {
    cost.map_or_else(|| "-".to_owned(), |cost| cost.to_string())
}

/// Milliseconds since 1970 as the local date and time, to the minute.
pub(crate) fn local_time(ms: i64) -> String {
    let Ok(time) = Timestamp::from_millisecond(ms) else { return format!("{ms} ms") };
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// When a budget starts again.
pub(crate) fn reset(resets_at_ms: Option<i64>) -> String {
    resets_at_ms.map_or_else(|| "never".to_owned(), local_time)
}

/// What a budget counts: `cost`, `cost of openai/* by tools`, `tokens (tells only)`.
pub(crate) fn counts(budget: &BudgetStatus) -> String {
    let mut text = budget.resource.to_string();
    for pattern in [&budget.provider, &budget.model].into_iter().flatten() {
        text.push_str(" of ");
        text.push_str(pattern);
    }
    if let Some(feature) = &budget.feature {
        text.push_str(" by ");
        text.push_str(feature);
    }
    if budget.soft {
        text.push_str(" (tells only)");
    }
    text
}

/// One budget in one line.
pub(crate) fn budget(budget: &BudgetStatus) -> String {
    let unit = |n| amount(budget.resource, n);
    format!(
        "{} of {} ({}): {} of {} left, {} spent, {} held, resets {}",
        counts(budget),
        budget.owner,
        budget.window,
        unit(budget.remaining()),
        unit(budget.cap),
        unit(budget.spent),
        unit(budget.held),
        reset(budget.resets_at_ms),
    )
}

/// What an answer took, in one line.
pub(crate) fn spending(usage: &Usage, receipt: Option<&Receipt>) -> String {
    let tokens = format!("{} tokens in, {} out", usage.total_input(), usage.total_output());
    match receipt {
        None => tokens,
        Some(Receipt { cost: None, request_id, .. }) => {
            format!("{tokens}, no price set, request {request_id}")
        }
        Some(Receipt { cost: Some(cost), request_id, .. }) => {
            format!("{tokens}, {cost}, request {request_id}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_says_what_it_counts_and_whether_it_limits() {
        let mut budget: BudgetStatus = serde_json::from_value(serde_json::json!({
            "budget": "B", "owner": "user:alice", "resource": "cost", "window": "month",
            "cap": 5, "spent": 0, "held": 0
        }))
        .unwrap();
        assert_eq!(counts(&budget), "cost");
        budget.model = Some("openai/*".to_owned());
        budget.feature = Some("tools".to_owned());
        budget.soft = true;
        assert_eq!(counts(&budget), "cost of openai/* by tools (tells only)");
    }
}
