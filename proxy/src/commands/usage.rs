//! `tollgate usage`.

use super::{Failure, output};
use crate::{
    clock::{Clock, SystemClock},
    ledger::report::{self, Query, csv},
    store::Store,
};
use clap::Args;
use std::io::{ErrorKind, Write};
use tollgate_types::{UsageGroup, UsageReport, UsageRow};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tollgate usage --since 7d --group-by user
  tollgate usage --team research --group-by day,model --time-zone Europe/Berlin
  tollgate usage --tag project=search --group-by month
  tollgate usage --user alice --since 2026-01-01 --until 2026-02-01 --csv > january.csv")]
pub(super) struct UsageArgs {
    /// Only this user's, by name or id.
    #[arg(long)]
    user: Option<String>,
    /// Only of users who were in this team at that time, by name or id.
    #[arg(long)]
    team: Option<String>,
    /// Only of teams of this organisation, by name or id.
    #[arg(long)]
    organisation: Option<String>,
    /// Only this key's, by id.
    #[arg(long)]
    key: Option<String>,
    /// With the key's, those of the keys that were delegated from it.
    #[arg(long, requires = "key")]
    delegated: bool,
    /// Only this provider's.
    #[arg(long)]
    provider: Option<String>,
    /// Only this model's, bare or as provider/model.
    #[arg(long)]
    model: Option<String>,
    /// Only of calls that used this feature: chat, stream, tools, embeddings.
    #[arg(long)]
    feature: Option<String>,
    /// Only of calls with this tag: name=value, or a name for any value.
    #[arg(long)]
    tag: Option<String>,
    /// Only requests that ended like this (settled, cancelled, interrupted, failed, cut, unknown); for --rows.
    #[arg(long)]
    disposition: Option<String>,
    /// From then on, in whole hours: 24h, 7d, 2026-01-31 or 2026-01-31T08:00:00Z.
    #[arg(long)]
    since: Option<String>,
    /// Up to, not including; as --since.
    #[arg(long)]
    until: Option<String>,
    /// Sum by user, team, organisation, key, provider, model, feature, tag, hour, day, week or month; by two of them with a comma between.
    #[arg(long, value_name = "GROUP")]
    group_by: Option<String>,
    /// Time zone of dates, hours, days, weeks and months: an IANA name.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// List this many of the newest requests too; with --csv without --group-by: all of them unless given.
    #[arg(long)]
    rows: Option<u32>,
    /// List those behind this one: what the page before calls next.
    #[arg(long, value_name = "CURSOR")]
    before: Option<String>,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl UsageArgs {
    fn into_query(self) -> Query {
        Query {
            user: self.user,
            user_id: None,
            team: self.team,
            organisation: self.organisation,
            key: self.key,
            delegated: self.delegated,
            provider: self.provider,
            model: self.model,
            feature: self.feature,
            tag: self.tag,
            disposition: self.disposition,
            since: self.since,
            until: self.until,
            group_by: self.group_by,
            time_zone: self.time_zone,
            rows: self.rows,
            before: self.before,
            format: None,
        }
    }
}

pub(super) async fn run(arguments: UsageArgs, store: &Store) -> Result<(), Failure> {
    let (json, spreadsheet) = (arguments.json, arguments.csv);
    let query = arguments.into_query();
    let now_ms = SystemClock.now_ms();
    if spreadsheet && query.group_by.is_none() {
        return all_rows(store, &query, now_ms).await;
    }
    let report = report::report(store, &query, now_ms).await?;
    match (json, spreadsheet) {
        (true, _) => output::json(&report),
        (_, true) => print(&csv::report(&report)?).map(drop),
        _ => tables(&report),
    }
}

/// Page by page: however many there are, one page of them is in memory.
async fn all_rows(store: &Store, query: &Query, now_ms: i64) -> Result<(), Failure> {
    let mut export = report::export(query, now_ms)?;
    let mut open = print(&csv::header()?)?;
    while open {
        let rows = export.next(store).await?;
        if rows.is_empty() {
            break;
        }
        open = print(&csv::rows(&rows)?)?;
    }
    Ok(())
}

/// Returns whether anybody still reads.
fn print(text: &[u8]) -> Result<bool, Failure> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).map_err(Failure::from),
    }
}

fn tables(report: &UsageReport) -> Result<(), Failure> {
    if let Some(span) = covered(report) {
        output::line(&span)?;
    }
    let by = report.group_by.as_deref().unwrap_or("");
    match by.split_once(',') {
        None => one_group(by, report)?,
        Some((first, second)) => two_groups([first.trim(), second.trim()], report)?,
    }
    if report.more_groups {
        output::line("there are more groups, all of them cheaper")?;
    }
    if report.total.unpriced > 0 {
        output::line(&format!("{} of the requests had no price", report.total.unpriced))?;
    }
    if report.rows.is_empty() {
        return Ok(());
    }
    let rows = report.rows.iter().map(row).collect();
    let header = ["started", "user", "model", "ended", "input", "output", "cost", "ms"];
    output::table(header, rows, "")?;
    match &report.next {
        Some(next) => output::line(&format!("more of them: --before {next}")),
        None => Ok(()),
    }
}

/// The whole hours that the sums are about.
fn covered(report: &UsageReport) -> Option<String> {
    let since = report.since_ms.map(|ms| format!("from {}", output::moment(ms)));
    let until = report.until_ms.map(|ms| format!("until {}", output::moment(ms)));
    let words: Vec<String> = since.into_iter().chain(until).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn one_group(by: &str, report: &UsageReport) -> Result<(), Failure> {
    let mut lines: Vec<_> =
        report.groups.iter().map(|group| with_sums([name(&group.group)], group)).collect();
    lines.push(with_sums(["total".to_owned()], &report.total));
    output::table::<8>(header([by]), lines, "")
}

fn two_groups(by: [&str; 2], report: &UsageReport) -> Result<(), Failure> {
    let names = |group: &UsageGroup| {
        [name(&group.group), name(group.subgroup.as_deref().unwrap_or_default())]
    };
    let mut lines: Vec<_> =
        report.groups.iter().map(|group| with_sums(names(group), group)).collect();
    lines.push(with_sums(["total".to_owned(), String::new()], &report.total));
    output::table::<9>(header(by), lines, "")
}

/// The calls that have no such value.
fn name(value: &str) -> String {
    if value.is_empty() { "(none)".to_owned() } else { value.to_owned() }
}

const SUMS: [&str; 7] = ["requests", "input", "output", "cost", "failed", "ms", "first ms"];

fn header<const N: usize, const M: usize>(by: [&str; N]) -> [&str; M] {
    let mut names = by.into_iter().chain(SUMS);
    std::array::from_fn(|_| names.next().unwrap_or_default())
}

/// The group's names and what it comes to.
fn with_sums<const N: usize, const M: usize>(
    names: [String; N],
    group: &UsageGroup,
) -> [String; M] {
    let average = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string());
    let sums = [
        group.requests.to_string(),
        group.usage.total_input().to_string(),
        group.usage.total_output().to_string(),
        group.cost.to_string(),
        group.failed.to_string(),
        average(group.average_latency_ms),
        average(group.average_ttft_ms),
    ];
    let mut cells = names.into_iter().chain(sums);
    std::array::from_fn(|_| cells.next().unwrap_or_default())
}

fn row(row: &UsageRow) -> [String; 8] {
    [
        output::moment(row.started_ms),
        name(&row.user),
        format!("{}/{}", row.provider, row.model),
        row.disposition.clone(),
        row.usage.total_input().to_string(),
        row.usage.total_output().to_string(),
        row.cost.map_or_else(|| "no price".to_owned(), |cost| cost.to_string()),
        row.latency_ms.to_string(),
    ]
}
