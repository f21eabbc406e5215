//! `toll usage`.

use crate::{args::UsageArgs, failure::Result, output, show};
use tollgate_client::{RemoteProvider, UsageQuery};
use tollgate_types::{UsageGroup, UsageReport, UsageRow};

pub(crate) async fn run(remote: RemoteProvider, args: UsageArgs) -> Result<()> {
    let (json, csv) = (args.json, args.csv);
    let report = remote.usage(query(args)).await?;
    match (json, csv) {
        (true, _) => output::json(&report),
        (_, true) => output::text(&spreadsheet(&report)),
        _ => output::text(&tables(&report)),
    }
}

fn query(args: UsageArgs) -> UsageQuery {
    UsageQuery {
        since: args.since,
        until: args.until,
        user: args.user,
        team: args.team,
        key: args.key,
        delegated: args.delegated,
        provider: args.provider,
        model: args.model,
        feature: args.feature,
        tag: args.tag,
        time_zone: args.time_zone,
        group_by: args.group_by,
        rows: args.rows,
        ..UsageQuery::default()
    }
}

fn tables(report: &UsageReport) -> String {
    let group_by = report.group_by.as_deref().unwrap_or("usage");
    let mut lines: Vec<_> = match report.group_by {
        Some(_) => report.groups.iter().map(|group| group_line(&group.group, group)).collect(),
        None => Vec::new(),
    };
    lines.push(group_line("total", &report.total));
    let mut text = output::table([group_by, "requests", "tokens in", "tokens out", "cost"], lines);
    if report.total.unpriced > 0 {
        text.push_str(&format!("requests without a price: {}\n", report.total.unpriced));
    }
    if !report.rows.is_empty() {
        let names = ["started", "user", "model", "tokens in", "tokens out", "cost", "ms", "end"];
        text.push('\n');
        text.push_str(&output::table(names, report.rows.iter().map(row_line).collect()));
    }
    text
}

fn group_line(name: &str, group: &UsageGroup) -> [String; 5] {
    [
        name.to_owned(),
        group.requests.to_string(),
        group.usage.total_input().to_string(),
        group.usage.total_output().to_string(),
        group.cost.to_string(),
    ]
}

fn row_line(row: &UsageRow) -> [String; 8] {
    [
        show::local_time(row.started_ms),
        row.user.clone(),
        format!("{}/{}", row.provider, row.model),
        row.usage.total_input().to_string(),
        row.usage.total_output().to_string(),
        show::cost(row.cost),
        row.latency_ms.to_string(),
        row.error.as_ref().unwrap_or(&row.disposition).clone(),
    ]
}

/// Exact integers, for programs: cost in nano-dollars, time in milliseconds.
fn spreadsheet(report: &UsageReport) -> String {
    if report.rows.is_empty() {
        let names =
            ["group", "requests", "input_tokens", "output_tokens", "cost_nano_usd", "unpriced"];
        let line = |group: &UsageGroup| {
            [
                group.group.clone(),
                group.requests.to_string(),
                group.usage.total_input().to_string(),
                group.usage.total_output().to_string(),
                group.cost.0.to_string(),
                group.unpriced.to_string(),
            ]
        };
        return output::csv(names, report.groups.iter().map(line).collect());
    }
    let names = [
        "request_id",
        "started_ms",
        "user",
        "key_id",
        "provider",
        "model",
        "disposition",
        "input_tokens",
        "output_tokens",
        "cost_nano_usd",
        "latency_ms",
        "ttft_ms",
        "error",
    ];
    output::csv(names, report.rows.iter().map(row_fields).collect())
}

fn row_fields(row: &UsageRow) -> [String; 13] {
    [
        row.request_id.clone(),
        row.started_ms.to_string(),
        row.user.clone(),
        row.key_id.clone(),
        row.provider.clone(),
        row.model.clone(),
        row.disposition.clone(),
        row.usage.total_input().to_string(),
        row.usage.total_output().to_string(),
        row.cost.map(|cost| cost.0.to_string()).unwrap_or_default(),
        row.latency_ms.to_string(),
        row.ttft_ms.map(|ms| ms.to_string()).unwrap_or_default(),
        row.error.clone().unwrap_or_default(),
    ]
}
