//! `tollgate budgets alerts`.

use crate::{
    admin::{self, AlertView, Office},
    commands::{Failure, output},
};
use clap::Args;

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

pub(super) async fn list(order: Alerts, office: &Office) -> Result<(), Failure> {
    let alerts = office.alerts(order.limit).await?;
    if order.json {
        return output::json(&alerts);
    }
    let rows = alerts.iter().map(row).collect();
    let header = ["noticed", "budget", "owner", "limits", "spent", "of", "at", "told"];
    output::table(header, rows, "no budget has passed its alert")
}

fn row(alert: &AlertView) -> [String; 8] {
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
        output::moment(alert.noticed_ms),
        alert.budget.clone(),
        alert.owner.clone(),
        format!("{} a {}", alert.resource, alert.window),
        amount(alert.spent),
        amount(alert.cap),
        format!("{}%", alert.percent),
        told,
    ]
}
