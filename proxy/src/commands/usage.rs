//! `tollgate usage`.

use super::{Failure, output};
use crate::{
    clock::{Clock, SystemClock},
    ledger::report::{self, Query},
    store::Store,
};
use clap::Args;
use tollgate_types::{UsageGroup, UsageReport, UsageRow};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate usage --since 7d --group-by user
  tollgate usage --user alice --since 2026-01-01 --until 2026-02-01 --csv > january.csv")]
pub(super) struct UsageArgs {
    /// Only this user's, by name.
    #[arg(long)]
    user: Option<String>,
    /// Only this key's, by id.
    #[arg(long)]
    key: Option<String>,
    /// Only this provider's.
    #[arg(long)]
    provider: Option<String>,
    /// Only this model's, bare or as provider/model.
    #[arg(long)]
    model: Option<String>,
    /// From then on: 24h, 7d, 2026-01-31 or 2026-01-31T08:00:00Z.
    #[arg(long)]
    since: Option<String>,
    /// Up to, not including; as --since.
    #[arg(long)]
    until: Option<String>,
    /// Sum by user, key, provider, model or day (UTC).
    #[arg(long, value_name = "GROUP")]
    group_by: Option<String>,
    /// List this many of the newest requests too; with --csv without --group-by: 10000 unless given.
    #[arg(long)]
    rows: Option<u32>,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: UsageArgs, store: &Store) -> Result<(), Failure> {
    let list_all = arguments.csv && arguments.group_by.is_none();
    let query = Query {
        user: arguments.user,
        user_id: None,
        key: arguments.key,
        provider: arguments.provider,
        model: arguments.model,
        since: arguments.since,
        until: arguments.until,
        group_by: arguments.group_by,
        rows: arguments.rows.or(list_all.then_some(u32::MAX)),
    };
    let report = report::report(store, &query, SystemClock.now_ms()).await?;
    match (arguments.json, arguments.csv) {
        (true, _) => output::json(&report),
        (_, true) => csv(&report),
        _ => tables(&report),
    }
}

fn tables(report: &UsageReport) -> Result<(), Failure> {
    let mut groups: Vec<_> = report.groups.iter().map(group).collect();
    groups.push(group(&UsageGroup { group: "total".to_owned(), ..report.total.clone() }));
    let by = report.group_by.as_deref().unwrap_or("");
    output::table([by, "requests", "input", "output", "cost"], groups, "")?;
    if report.total.unpriced > 0 {
        output::line(&format!("{} of the requests had no price", report.total.unpriced))?;
    }
    if report.rows.is_empty() {
        return Ok(());
    }
    let rows = report.rows.iter().map(row).collect();
    let header = ["started", "user", "model", "ended", "input", "output", "cost", "ms"];
    output::table(header, rows, "")
}

fn group(group: &UsageGroup) -> [String; 5] {
    let usage = &group.usage;
    [
        group.group.clone(),
        group.requests.to_string(),
        usage.total_input().to_string(),
        usage.total_output().to_string(),
        group.cost.to_string(),
    ]
}

fn row(row: &UsageRow) -> [String; 8] {
    [
        output::moment(row.started_ms),
        row.user.clone(),
        format!("{}/{}", row.provider, row.model),
        row.disposition.clone(),
        row.usage.total_input().to_string(),
        row.usage.total_output().to_string(),
        row.cost.map_or_else(|| "no price".to_owned(), |cost| cost.to_string()),
        row.latency_ms.to_string(),
    ]
}

fn csv(report: &UsageReport) -> Result<(), Failure> {
    if let Some(by) = &report.group_by {
        output::line(&format!("{by},requests,input,output,cost_nano_usd,unpriced"))?;
        return report.groups.iter().try_for_each(|group| {
            let usage = &group.usage;
            output::line(&format!(
                "{},{},{},{},{},{}",
                quoted(&group.group),
                group.requests,
                usage.total_input(),
                usage.total_output(),
                group.cost.0,
                group.unpriced
            ))
        });
    }
    output::line(
        "request_id,started_ms,user,key_id,provider,model,disposition,input,output,cost_nano_usd,latency_ms",
    )?;
    report.rows.iter().try_for_each(|row| {
        output::line(&format!(
            "{},{},{},{},{},{},{},{},{},{},{}",
            row.request_id,
            row.started_ms,
            quoted(&row.user),
            row.key_id,
            quoted(&row.provider),
            quoted(&row.model),
            row.disposition,
            row.usage.total_input(),
            row.usage.total_output(),
            row.cost.map(|cost| cost.0.to_string()).unwrap_or_default(),
            row.latency_ms
        ))
    })
}

/// RFC 4180; a value that a spreadsheet would run as a formula is made text.
fn quoted(value: &str) -> String {
    let value = match value.chars().next() {
        Some('=' | '+' | '-' | '@') => format!("'{value}"),
        _ => value.to_owned(),
    };
    if value.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", value.replace('"', "\"\""));
    }
    value
}
