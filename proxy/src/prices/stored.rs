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
///
/// # Errors
/// When it is none, as can only be when somebody else has written it.
pub fn entry_of(row: &PriceRow) -> Result<PriceEntry, StoredPriceError> {
    let entry: PriceEntry = serde_json::from_str(&row.entry)?;
    let entry = PriceEntry { model: row.model.clone(), ..entry };
    entry.check()?;
    Ok(entry)
}

/// The prices in force at a moment, one for each name: of those that have begun and were not taken
/// back, the one that began last, and of those the one that was set last.
pub fn in_force(rows: &[PriceRow], now_ms: i64) -> impl Iterator<Item = &PriceRow> {
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

/// The moments around `now_ms` between which no price begins or ends.
pub(super) fn unchanged(rows: &[PriceRow], now_ms: i64) -> std::ops::Range<i64> {
    let moments = rows.iter().flat_map(|row| [Some(row.effective_ms), row.ended_ms]).flatten();
    let (mut start, mut end) = (i64::MIN, i64::MAX);
    for moment in moments {
        if moment <= now_ms {
            start = start.max(moment);
        } else {
            end = end.min(moment);
        }
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, model: &str, (effective_ms, created_ms): (i64, i64)) -> PriceRow {
        let (id, model) = (id.to_owned(), model.to_owned());
        PriceRow { id, model, effective_ms, created_ms, ..PriceRow::default() }
    }

    fn at(rows: &[PriceRow], now_ms: i64) -> Vec<&str> {
        let mut ids: Vec<_> = in_force(rows, now_ms).map(|row| row.id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn of_several_prices_of_a_name_the_last_that_has_begun_counts() {
        let mut rows = [
            row("a", "p/m", (10, 10)),
            row("b", "p/m", (20, 11)),
            row("c", "p/m", (15, 15)),
            row("d", "p/*", (12, 12)),
        ];
        for (now, expected) in [
            (9, &[][..]),
            (10, &["a"]),
            (12, &["a", "d"]),
            (15, &["c", "d"]),
            // Set before "c", for a moment after it.
            (20, &["b", "d"]),
        ] {
            assert_eq!(at(&rows, now), expected, "{now}");
        }
        rows[1].ended_ms = Some(25);
        assert_eq!(at(&rows, 24), ["b", "d"]);
        assert_eq!(at(&rows, 25), ["c", "d"]);
        for (now, range) in [(9, i64::MIN..10), (12, 12..15), (21, 20..25), (99, 25..i64::MAX)] {
            assert_eq!(unchanged(&rows, now), range);
        }
    }
}
