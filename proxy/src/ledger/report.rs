//! What was used, for the person who pays.

use crate::store::{EntryRow, GroupRow, NamedEntry, Store, StoreError, UsageFilter};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use tollgate_types::{NanoUsd, Usage, UsageGroup, UsageReport, UsageRow};

/// Most rows of one answer.
const MAX_ROWS: u32 = 10_000;

/// What a report is about; names as in the query of `GET /api/v1/usage`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Only this user's, by name.
    pub user: Option<String>,
    /// Only this user's, by id; never from the outside.
    #[serde(skip)]
    pub user_id: Option<String>,
    /// Only this key's, by id.
    pub key: Option<String>,
    /// Only this provider's.
    pub provider: Option<String>,
    /// Only this model's, bare or as `provider/model`.
    pub model: Option<String>,
    /// Started at or after: RFC 3339, a date, or a span back from now (`24h`, `7d`).
    pub since: Option<String>,
    /// Started before; as `since`.
    pub until: Option<String>,
    /// `user`, `key`, `provider`, `model` or `day` (UTC).
    pub group_by: Option<String>,
    /// How many of the newest requests to list.
    pub rows: Option<u32>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The query is wrong.
    #[error("{0}")]
    Query(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a report.
///
/// # Errors
/// When the query is wrong or the database fails.
pub async fn report(store: &Store, query: &Query, now_ms: i64) -> Result<UsageReport, ReportError> {
    let filter = filter_of(query, now_ms)?;
    let group_by = query.group_by.as_deref().unwrap_or_default();
    if !["", "user", "key", "provider", "model", "day"].contains(&group_by) {
        return Err(ReportError::Query(format!(
            "group_by is {group_by:?}, use one of: user, key, provider, model, day"
        )));
    }
    let total = store.usage_groups("", &filter).await?.into_iter().next().unwrap_or_default();
    let groups = match group_by {
        "" => Vec::new(),
        by => store.usage_groups(by, &filter).await?.iter().map(|row| group(by, row)).collect(),
    };
    let rows = match query.rows.unwrap_or_default().min(MAX_ROWS) {
        0 => Vec::new(),
        limit => store.usage_rows(&filter, limit).await?.into_iter().map(row).collect(),
    };
    Ok(UsageReport { group_by: query.group_by.clone(), groups, total: group("", &total), rows })
}

fn filter_of(query: &Query, now_ms: i64) -> Result<UsageFilter, ReportError> {
    let moment = |text: &Option<String>| text.as_deref().map(|t| moment(t, now_ms)).transpose();
    Ok(UsageFilter {
        user: query.user.clone(),
        user_id: query.user_id.clone(),
        key_id: query.key.clone(),
        provider: query.provider.clone(),
        model: query.model.clone(),
        since_ms: moment(&query.since)?,
        until_ms: moment(&query.until)?,
    })
}

/// RFC 3339, a date in UTC, or a number with `m`, `h`, `d` or `w` back from now.
///
/// # Errors
/// When it is none of them.
pub fn moment(text: &str, now_ms: i64) -> Result<i64, ReportError> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_millisecond());
    }
    if let Ok(date) = text.parse::<Date>()
        && let Ok(midnight) = date.to_zoned(TimeZone::UTC)
    {
        return Ok(midnight.timestamp().as_millisecond());
    }
    span_ms(text).map(|span| now_ms.saturating_sub(span)).ok_or_else(|| {
        ReportError::Query(format!(
            "{text:?} is no time, write it like 2026-01-31, 2026-01-31T08:00:00Z, 24h or 7d"
        ))
    })
}

/// A number with `s`, `m`, `h`, `d` or `w`, in milliseconds.
pub fn span_ms(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number >= 0)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    number.checked_mul(seconds)?.checked_mul(1000)
}

fn group(by: &str, row: &GroupRow) -> UsageGroup {
    let usage = Usage { estimated: row.estimated != 0, ..row.tokens.into() };
    UsageGroup {
        group: if by == "day" { day(&row.group_value) } else { row.group_value.clone() },
        requests: count(row.requests),
        usage,
        cost: NanoUsd(row.cost_nano_usd),
        unpriced: count(row.unpriced),
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// The date of a day that is numbered since 1970-01-01.
fn day(number: &str) -> String {
    let ms = number.parse::<i64>().ok().and_then(|days| days.checked_mul(86_400_000));
    let moment = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.map_or_else(|| number.to_owned(), |m| m.to_zoned(TimeZone::UTC).date().to_string())
}

fn row(named: NamedEntry) -> UsageRow {
    let NamedEntry { user_name, entry } = named;
    UsageRow {
        usage: usage_of(&entry),
        request_id: entry.request_id,
        started_ms: entry.started_ms,
        user: user_name,
        key_id: entry.key_id,
        provider: entry.provider,
        model: entry.model,
        disposition: entry.disposition,
        cost: entry.cost_nano_usd.map(NanoUsd),
        latency_ms: entry.latency_ms,
        ttft_ms: entry.first_token_ms,
        streamed: entry.streamed != 0,
        error: entry.error,
    }
}

fn usage_of(entry: &EntryRow) -> Usage {
    Usage {
        tool_fees: serde_json::from_str(&entry.tool_fees).unwrap_or_default(),
        estimated: entry.estimated != 0,
        ..entry.tokens.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = 1_000_000_000_000;
        for (text, expected) in [
            ("24h", now - 86_400_000),
            ("7d", now - 7 * 86_400_000),
            ("1970-01-02", 86_400_000),
            ("1970-01-01T00:00:01Z", 1_000),
        ] {
            assert_eq!(moment(text, now).unwrap(), expected, "{text}");
        }
        for wrong in ["", "yesterday", "-5d", "5y", "99999999999999999d", "ü"] {
            assert!(moment(wrong, now).is_err(), "{wrong}");
        }
    }
}
