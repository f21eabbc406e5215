//! `tollgate budgets alerts`.

use crate::{
    admin,
    commands::{Failure, output},
    store::{AlertRow, Store},
};
use clap::Args;
use serde_json::{Value, json};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate budgets alerts
  tollgate budgets alerts --limit 1000 --json")]
pub(in crate::commands) struct Alerts {
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(order: Alerts, store: &Store) -> Result<(), Failure> {
    let alerts = store.alerts(order.limit.into()).await?;
    if order.json {
        return output::json(&alerts.iter().map(described).collect::<Vec<_>>());
    }
    let rows = alerts.iter().map(row).collect();
    let header = ["noticed", "budget", "owner", "limits", "spent", "of", "at", "told"];
    output::table(header, rows, "no budget has passed its alert")
}

fn owner(alert: &AlertRow) -> String {
    let named = if alert.owner_kind == "key" { &alert.owner_id } else { &alert.owner_name };
    format!("{}:{named}", alert.owner_kind)
}

fn described(alert: &AlertRow) -> Value {
    json!({
        "budget": alert.budget_id, "owner": owner(alert), "resource": alert.resource,
        "window": alert.span, "window_start_ms": alert.start_ms, "percent": alert.percent,
        "spent": alert.spent, "cap": alert.cap, "soft": alert.enforcement == "soft",
        "noticed_ms": alert.at_ms, "delivered_ms": alert.delivered_ms, "attempts": alert.attempts,
    })
}

fn row(alert: &AlertRow) -> [String; 8] {
    let amount = |amount| match alert.resource.parse() {
        Ok(resource) => admin::shown(resource, amount),
        Err(_) => amount.to_string(),
    };
    let told = match (alert.delivered_ms, alert.attempts) {
        (Some(ms), _) => output::moment(ms),
        (None, 0) => "not yet".to_owned(),
        (None, tries) => format!("not yet, tried {tries} times"),
    };
    [
        output::moment(alert.at_ms),
        alert.budget_id.clone(),
        owner(alert),
        format!("{} a {}", alert.resource, alert.span),
        amount(alert.spent),
        amount(alert.cap),
        format!("{}%", alert.percent),
        told,
    ]
}
