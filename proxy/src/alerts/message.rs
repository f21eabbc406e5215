//! What an alert says.

use crate::store::AlertRow;
use serde::Serialize;
use tollgate_types::{NanoUsd, Resource};

/// The body of an alert. Names stay what they are; fields may be added.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    /// `budget_alert`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The same for every try.
    id: String,
    /// A sentence: chat services show this field.
    text: String,
    budget: &'a str,
    owner: String,
    resource: &'a str,
    window: &'a str,
    window_start_ms: i64,
    soft: bool,
    percent: i64,
    /// In the resource's unit, as `cap`: nano-dollars, tokens or requests.
    spent: i64,
    cap: i64,
    noticed_ms: i64,
}

pub(super) fn of(alert: &AlertRow) -> Message<'_> {
    let owner = owner(alert);
    let amount = |amount: i64| match alert.resource.parse() {
        Ok(Resource::Cost) => NanoUsd(amount).to_string(),
        _ => format!("{amount} {}", alert.resource),
    };
    let text = format!(
        "{owner} has spent {} of {} in this {} (the alert is at {}%)",
        amount(alert.spent),
        amount(alert.cap),
        alert.span,
        alert.percent
    );
    Message {
        kind: "budget_alert",
        id: format!("{}:{}:{}", alert.budget_id, alert.start_ms, alert.percent),
        text,
        budget: &alert.budget_id,
        owner,
        resource: &alert.resource,
        window: &alert.span,
        window_start_ms: alert.start_ms,
        soft: alert.enforcement == "soft",
        percent: alert.percent,
        spent: alert.spent,
        cap: alert.cap,
        noticed_ms: alert.at_ms,
    }
}

/// As in `BudgetStatus`: a key by its id, everybody else by name.
fn owner(alert: &AlertRow) -> String {
    let named = match alert.owner_kind.as_str() {
        "key" => &alert.owner_id,
        _ => &alert.owner_name,
    };
    format!("{}:{named}", alert.owner_kind)
}
