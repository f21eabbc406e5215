//! Prices of the database: which of them are in force at a moment, and until when that stays so.

use crate::{config::PriceEntry, store::PriceRow};
use std::collections::HashMap;

/// Why a stored price cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoredPriceError {
    /// It is not the JSON of a price.
    #[error("it is not the JSON of a price: {0}")]
    Json(#[from] serde_json::Error),
    /// It says something impossible.
    #[error(transparent)]
    Price(#[from] crate::config::PriceError),
    /// An amount is none.
    #[error(transparent)]
    Amount(#[from] tollgate_types::MoneyParseError),
}

/// Reads and checks a stored price.
pub(super) fn entry_of(row: &PriceRow) -> Result<PriceEntry, StoredPriceError> {
    let entry: PriceEntry = serde_json::from_str(&row.entry)?;
    let entry = PriceEntry { model: row.model.clone(), ..entry };
    entry.check()?;
    Ok(entry)
}

/// The prices in force at a moment, one for each name: of those that have begun and were not taken
/// back, the one that began last, and of those the one that was set last.
pub(super) fn in_force(rows: &[PriceRow], now_ms: i64) -> impl Iterator<Item = &PriceRow> {
    let mut latest: HashMap<&str, &PriceRow> = HashMap::new();
    let age = |row: &PriceRow| (row.effective_ms, row.created_ms, row.id.clone());
    let open = |row: &&PriceRow| {
        row.effective_ms <= now_ms && row.ended_ms.is_none_or(|ended| now_ms < ended)
    };
    for row in rows.iter().filter(open) {
        let first = latest.entry(&row.model).or_insert(row);
        if age(row) > age(first) {
            *first = row;
        }
    }
    latest.into_values()
}

/// The next moment after `now_ms` at which a price begins or ends.
pub(super) fn changes_at(rows: &[PriceRow], now_ms: i64) -> i64 {
    let moments = rows.iter().flat_map(|row| [Some(row.effective_ms), row.ended_ms]).flatten();
    moments.filter(|moment| *moment > now_ms).min().unwrap_or(i64::MAX)
}

/// The last moment up to `now_ms` at which a price began or ended.
pub(super) fn changed_at(rows: &[PriceRow], now_ms: i64) -> i64 {
    let moments = rows.iter().flat_map(|row| [Some(row.effective_ms), row.ended_ms]).flatten();
    moments.filter(|moment| *moment <= now_ms).max().unwrap_or(i64::MIN)
}
