//! Reports as spreadsheets: RFC 4180, and no cell that a spreadsheet would run as a formula.
//!
//! Columns are only ever added, behind the ones that are there.

use super::ReportError;
use csv::Writer;
use std::borrow::Cow;
use tollgate_types::{NanoUsd, Usage, UsageGroup, UsageReport, UsageRow};

const KINDS: [&str; 9] = [
    "uncached_input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_in",
    "image_in",
    "visible_output",
    "reasoning",
    "audio_out",
];

const SUMS: [&str; 10] = [
    "requests",
    "input",
    "output",
    "cost_nano_usd",
    "unpriced",
    "cost_usd",
    "failed",
    "estimated",
    "average_latency_ms",
    "average_ttft_ms",
];

const ROWS: [&str; 25] = [
    "request_id",
    "started_ms",
    "user",
    "key_id",
    "provider",
    "model",
    "disposition",
    "input",
    "output",
    "cost_nano_usd",
    "latency_ms",
    "cost_usd",
    "attempt",
    "team",
    "asked_model",
    "dialect",
    "features",
    "streamed",
    "finish",
    "error",
    "estimated",
    "clamped",
    "ttft_ms",
    "price_version",
    "upstream_request_id",
];

/// The groups of a report; without groups its rows, and without those the total.
///
/// # Errors
/// Never, in practice: it is written to memory.
pub fn report(report: &UsageReport) -> Result<Vec<u8>, ReportError> {
    match &report.group_by {
        None if !report.rows.is_empty() => {
            let mut text = header()?;
            text.extend(rows(&report.rows)?);
            Ok(text)
        }
        None => groups("", std::slice::from_ref(&report.total)),
        Some(by) => groups(by, &report.groups),
    }
}

fn groups(by: &str, groups: &[UsageGroup]) -> Result<Vec<u8>, ReportError> {
    let names: Vec<&str> = by.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut table = Writer::from_writer(Vec::new());
    write(&mut table, names.iter().chain(&SUMS).chain(&KINDS).map(|name| Cow::Borrowed(*name)))?;
    for group in groups {
        let values = [Some(group.group.as_str()), group.subgroup.as_deref()];
        let values = values.into_iter().flatten().take(names.len()).map(text);
        let sums = [
            group.requests.to_string(),
            group.usage.total_input().to_string(),
            group.usage.total_output().to_string(),
            group.cost.0.to_string(),
            group.unpriced.to_string(),
            dollars(group.cost),
            group.failed.to_string(),
            group.estimated.to_string(),
            optional(group.average_latency_ms),
            optional(group.average_ttft_ms),
        ];
        write(
            &mut table,
            values.chain(sums.into_iter().chain(kinds(&group.usage)).map(Cow::Owned)),
        )?;
    }
    finish(table)
}

/// The line above [`rows`].
///
/// # Errors
/// As [`report`].
pub fn header() -> Result<Vec<u8>, ReportError> {
    let mut table = Writer::from_writer(Vec::new());
    let names = ROWS.iter().chain(&KINDS).chain(&["tool_fees", "tags"]);
    write(&mut table, names.map(|name| Cow::Borrowed(*name)))?;
    finish(table)
}

/// A line for each row.
///
/// # Errors
/// As [`report`].
pub fn rows(rows: &[UsageRow]) -> Result<Vec<u8>, ReportError> {
    let mut table = Writer::from_writer(Vec::new());
    for row in rows {
        let json = |value: serde_json::Result<String>| value.unwrap_or_default();
        let last = [
            json(serde_json::to_string(&row.usage.tool_fees)),
            json(serde_json::to_string(&row.tags)),
        ];
        let kinds = kinds(&row.usage).into_iter().chain(last).map(Cow::Owned);
        write(&mut table, cells(row).into_iter().chain(kinds))?;
    }
    finish(table)
}

fn cells(row: &UsageRow) -> [Cow<'_, str>; 25] {
    let number = |number: String| Cow::Owned(number);
    [
        text(&row.request_id),
        number(row.started_ms.to_string()),
        text(&row.user),
        text(&row.key_id),
        text(&row.provider),
        text(&row.model),
        text(&row.disposition),
        number(row.usage.total_input().to_string()),
        number(row.usage.total_output().to_string()),
        number(optional(row.cost.map(|cost| cost.0))),
        number(row.latency_ms.to_string()),
        number(row.cost.map(dollars).unwrap_or_default()),
        number(row.attempt.to_string()),
        text(row.team.as_deref().unwrap_or_default()),
        text(&row.asked_model),
        text(&row.dialect),
        number(row.features.join(" ")),
        number(row.streamed.to_string()),
        text(row.finish.as_deref().unwrap_or_default()),
        text(row.error.as_deref().unwrap_or_default()),
        number(row.usage.estimated.to_string()),
        number(row.clamped.to_string()),
        number(optional(row.ttft_ms)),
        text(row.price_version.as_deref().unwrap_or_default()),
        text(row.upstream_request_id.as_deref().unwrap_or_default()),
    ]
}

fn kinds(usage: &Usage) -> [String; 9] {
    [
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.audio_in,
        usage.image_in,
        usage.output,
        usage.reasoning,
        usage.audio_out,
    ]
    .map(|count| count.to_string())
}

/// Plain decimal dollars: `0.0000315`.
fn dollars(cost: NanoUsd) -> String {
    cost.to_string().replace('$', "")
}

fn optional(number: Option<impl ToString>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// Words that somebody else chose: what a spreadsheet would run becomes text
/// (owasp.org/www-community/attacks/CSV_Injection).
fn text(value: &str) -> Cow<'_, str> {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return Cow::Owned(format!("'{value}"));
    }
    Cow::Borrowed(value)
}

fn write<'c>(
    table: &mut Writer<Vec<u8>>,
    cells: impl Iterator<Item = Cow<'c, str>>,
) -> Result<(), ReportError> {
    let cells: Vec<_> = cells.collect();
    let cells = cells.iter().map(|cell| cell.as_bytes());
    table.write_record(cells).map_err(|error| ReportError::Text(error.to_string()))
}

fn finish(table: Writer<Vec<u8>>) -> Result<Vec<u8>, ReportError> {
    table.into_inner().map_err(|error| ReportError::Text(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<Vec<String>> {
        let mut table = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
        table.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn whatever_callers_write_stays_in_its_cell_and_is_no_formula() {
        let evil = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "a,b", "a\"b", "a\nb", "\r\n=1", "é"];
        for evil in evil {
            let row = UsageRow {
                user: evil.to_owned(),
                model: evil.to_owned(),
                tags: [(evil.to_owned(), evil.to_owned())].into(),
                cost: Some(NanoUsd(31_500)),
                ..UsageRow::default()
            };
            let mut text = header().unwrap();
            text.extend(rows(&[row.clone(), row]).unwrap());
            let lines = read(&text);
            assert_eq!(lines.len(), 3, "{evil:?}");
            let cell = |name: &str| {
                let at = lines[0].iter().position(|column| column == name).unwrap();
                lines[2][at].clone()
            };
            assert!(!cell("user").starts_with(['=', '+', '-', '@', '\t', '\r']), "{evil:?}");
            assert_eq!(cell("user").trim_start_matches('\''), evil);
            assert_eq!(cell("model"), cell("user"));
            assert_eq!(
                (cell("cost_usd").as_str(), cell("cost_nano_usd").as_str()),
                ("0.0000315", "31500")
            );
            let tags: std::collections::BTreeMap<String, String> =
                serde_json::from_str(&cell("tags")).unwrap();
            assert_eq!(tags.get(evil).map(String::as_str), Some(evil));
        }
    }

    #[test]
    fn groups_have_a_column_for_each_thing_they_are_grouped_by() {
        let group = UsageGroup {
            group: "2026-01-31".into(),
            subgroup: Some("=m".into()),
            requests: 2,
            cost: NanoUsd(1_500_000_000),
            average_latency_ms: Some(7),
            ..UsageGroup::default()
        };
        let told = UsageReport {
            group_by: Some("day,model".into()),
            groups: vec![group.clone()],
            total: group,
            ..UsageReport::default()
        };
        let lines = read(&report(&told).unwrap());
        assert_eq!(lines[0][..4], ["day", "model", "requests", "input"]);
        assert_eq!(lines[1][..4], ["2026-01-31", "'=m", "2", "0"]);
        assert_eq!(lines[1][5..8], ["1500000000", "0", "1.50"]);
        assert_eq!(lines[0].len(), lines[1].len());
        let all = read(&report(&UsageReport { group_by: None, ..told }).unwrap());
        assert_eq!((all[0][0].as_str(), all[1][0].as_str(), all.len()), ("requests", "2", 2));
    }
}
