//! What was used, for the person who pays.
//!
//! Sums come from the hourly rollups and so cover whole hours; single requests come from the
//! entries, one bounded page at a time.

mod calendar;
pub mod csv;
mod group;
mod query;
mod row;

pub use query::{Format, Query, moment, span_ms};
pub use row::{Export, export};

use crate::store::{GroupRow, Grouping, Store, StoreError};
use query::Terms;
use tollgate_types::{UsageGroup, UsageReport};

/// Most rows of one answer.
const MAX_ROWS: u32 = 10_000;
/// Most groups of one answer.
const MAX_GROUPS: u32 = 10_000;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The query is wrong.
    #[error("{message}")]
    Query {
        /// The field.
        param: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The report cannot be written down.
    #[error("the report cannot be written: {0}")]
    Text(String),
}

impl ReportError {
    fn of(param: &'static str, message: impl Into<String>) -> Self {
        Self::Query { param, message: message.into() }
    }
}

/// Makes a report.
///
/// # Errors
/// When the query is wrong or the database fails.
pub async fn report(store: &Store, query: &Query, now_ms: i64) -> Result<UsageReport, ReportError> {
    let terms = Terms::of(query, now_ms)?;
    let (groups, total) = groups(store, &terms).await?;
    let more_groups = groups.len() > usize::try_from(MAX_GROUPS).unwrap_or(usize::MAX);
    let (rows, next) = row::page(store, &terms.filter, row::within(query.rows)).await?;
    Ok(UsageReport {
        group_by: query.group_by.clone(),
        since_ms: terms.filter.since_ms,
        until_ms: terms.filter.until_ms,
        time_zone: query.time_zone.clone(),
        groups: groups
            .iter()
            .take(usize::try_from(MAX_GROUPS).unwrap_or(usize::MAX))
            .map(|row| group::of_row(&terms, row))
            .collect(),
        more_groups,
        total,
        rows,
        next,
    })
}

/// The groups, and everything together.
async fn groups(store: &Store, terms: &Terms) -> Result<(Vec<GroupRow>, UsageGroup), ReportError> {
    let Some((first, second)) = terms.group_by else {
        let all = store.usage_sums(&Grouping::default(), &terms.filter).await?;
        return Ok((Vec::new(), group::total(&all)));
    };
    let covered = store.usage_hours().await?;
    let spans = calendar::spans(&terms.zone, &terms.filter, covered);
    let limit = MAX_GROUPS.saturating_add(1);
    let grouping = Grouping { first: Some(first), second, spans, limit };
    let rows = store.usage_sums(&grouping, &terms.filter).await?;
    let cut = rows.len() > usize::try_from(MAX_GROUPS).unwrap_or(usize::MAX);
    // Groups that share no call add up to the total: the sums are read once.
    if cut || first.overlaps() || second.is_some_and(|second| second.overlaps()) {
        let all = store.usage_sums(&Grouping::default(), &terms.filter).await?;
        return Ok((rows, group::total(&all)));
    }
    let total = group::total(&rows);
    Ok((rows, total))
}

#[cfg(test)]
mod tests;
