//! Single requests, as the person who pays reads them: pages of them, or all of them, page by page.

use super::{MAX_ROWS, Query, ReportError, query::Terms};
use crate::store::{EntryCursor, EntryRow, NamedEntry, Store, UsageFilter};
use tollgate_types::{NanoUsd, Usage, UsageRow};

/// Rows of an export that are in memory at once.
const PAGE: u32 = 500;

/// The newest requests, and where the next page begins.
pub(super) async fn page(
    store: &Store,
    filter: &UsageFilter,
    limit: u32,
) -> Result<(Vec<UsageRow>, Option<String>), ReportError> {
    if limit == 0 {
        return Ok((Vec::new(), None));
    }
    let entries = store.usage_rows(filter, limit).await?;
    let whole = u32::try_from(entries.len()).unwrap_or(u32::MAX) >= limit;
    let next = entries.last().filter(|_| whole).map(|last| text_of(&last.cursor()));
    Ok((entries.into_iter().map(row).collect(), next))
}

/// All rows of a query, of which only a page is in memory at a time.
#[derive(Debug)]
pub struct Export {
    filter: UsageFilter,
    /// Rows that may still come.
    left: u64,
    done: bool,
}

/// Begins to tell all rows of a query, or as many of the newest as it asks for.
///
/// # Errors
/// When the query is wrong.
pub fn export(query: &Query, now_ms: i64) -> Result<Export, ReportError> {
    let asked = Query { rows: Some(query.rows.unwrap_or(u32::MAX)), ..query.clone() };
    let Terms { mut filter, group_by, .. } = Terms::of(&asked, now_ms)?;
    if group_by.is_some() {
        let message = "group_by is for sums, an export lists single requests";
        return Err(ReportError::of("group_by", message));
    }
    // What begins while the export is written is newer than its first row.
    filter.until_ms = Some(filter.until_ms.unwrap_or(i64::MAX).min(now_ms.saturating_add(1)));
    let left = query.rows.map_or(u64::MAX, u64::from);
    Ok(Export { filter, left, done: left == 0 })
}

impl Export {
    /// The next rows; none behind the last.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn next(&mut self, store: &Store) -> Result<Vec<UsageRow>, ReportError> {
        if self.done {
            return Ok(Vec::new());
        }
        let limit = u32::try_from(self.left).unwrap_or(PAGE).min(PAGE);
        let entries = store.usage_rows(&self.filter, limit).await?;
        let told = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(u64::from(told));
        self.done = told < limit || self.left == 0;
        self.filter.before = entries.last().map(NamedEntry::cursor);
        Ok(entries.into_iter().map(row).collect())
    }
}

fn row(named: NamedEntry) -> UsageRow {
    let NamedEntry { user_name, team_name, entry } = named;
    let words = entry.features.split(',').filter(|word| !word.is_empty());
    UsageRow {
        usage: usage_of(&entry),
        features: words.map(str::to_owned).collect(),
        attempt: u32::try_from(entry.attempt).unwrap_or_default(),
        team: team_name.or(entry.team_id),
        user: user_name,
        cost: entry.cost_nano_usd.map(NanoUsd),
        ttft_ms: entry.first_token_ms,
        streamed: entry.streamed != 0,
        clamped: entry.clamped != 0,
        tags: serde_json::from_str(&entry.tags).unwrap_or_default(),
        request_id: entry.request_id,
        started_ms: entry.started_ms,
        key_id: entry.key_id,
        provider: entry.provider,
        model: entry.model,
        disposition: entry.disposition,
        latency_ms: entry.latency_ms,
        error: entry.error,
        asked_model: entry.asked_model,
        dialect: entry.dialect,
        finish: entry.finish,
        price_version: entry.price_version,
        upstream_request_id: entry.upstream_request_id,
    }
}

fn usage_of(entry: &EntryRow) -> Usage {
    Usage {
        tool_fees: serde_json::from_str(&entry.tool_fees).unwrap_or_default(),
        estimated: entry.estimated != 0,
        ..entry.tokens.into()
    }
}

/// A cursor as the wire has it.
fn text_of(cursor: &EntryCursor) -> String {
    format!("{}.{}.{}", cursor.started_ms, cursor.attempt, cursor.request_id)
}

/// Reads what [`text_of`] wrote.
pub(super) fn cursor_of(text: &str) -> Option<EntryCursor> {
    let (started_ms, rest) = text.split_once('.')?;
    let (attempt, request_id) = rest.split_once('.')?;
    Some(EntryCursor {
        started_ms: started_ms.parse().ok()?,
        attempt: attempt.parse().ok()?,
        request_id: request_id.to_owned(),
    })
}

/// As many rows as one answer may have.
pub(super) fn within(rows: Option<u32>) -> u32 {
    rows.unwrap_or_default().min(MAX_ROWS)
}
