//! Prices of the database as an operator sets and sees them.

use super::{PriceList, stored};
use crate::{
    clock::Clock,
    config::{PriceEntry, PriceError},
    ids::new_id,
    store::{PriceRow, Store, StoreError},
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Most prices of one answer.
const MOST: u32 = 10_000;

/// Why prices were not changed; then none of them were.
#[derive(Debug, thiserror::Error)]
pub enum PriceChangeError {
    /// A price is wrong.
    #[error("the price of {model:?}: {error}")]
    Wrong {
        /// For which model.
        model: String,
        /// What is wrong with it.
        error: PriceError,
    },
    /// Two prices of one change are for the same name.
    #[error("{0:?} has two prices here: leave one out")]
    Twice(String),
    /// A price would count for the past.
    #[error(
        "prices cannot begin in the past: what was used then keeps the price that it was made with; leave the time out to begin now"
    )]
    Past,
    /// A price cannot be written.
    #[error("a price cannot be written: {0}")]
    Text(#[from] serde_json::Error),
}

/// Whether a price that was set counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceState {
    /// It counts now.
    InForce,
    /// It will.
    Future,
    /// Another one has begun since.
    Replaced,
    /// It was taken back.
    Ended,
}

impl PriceState {
    /// As JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::Future => "future",
            Self::Replaced => "replaced",
            Self::Ended => "ended",
        }
    }
}

/// A price that was set at some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceVersion {
    /// Its name in entries: `db:` and an id.
    pub version: String,
    /// From when on it counts, milliseconds since 1970 UTC.
    pub effective_ms: i64,
    /// When it was set, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it was taken back.
    pub ended_ms: Option<i64>,
    /// Whether it counts.
    pub state: PriceState,
    /// The price; absent when it cannot be read.
    pub price: Option<PriceEntry>,
    /// What it is for: `provider/model`, or the beginning of such names and a `*`.
    pub model: String,
}

/// The rows of prices that begin now, or at a moment to come.
///
/// # Errors
/// When any of them is wrong.
pub fn rows_of(
    entries: &[PriceEntry],
    from_ms: Option<i64>,
    clock: &dyn Clock,
) -> Result<Vec<PriceRow>, PriceChangeError> {
    let now_ms = clock.now_ms();
    if from_ms.is_some_and(|from_ms| from_ms < now_ms) {
        return Err(PriceChangeError::Past);
    }
    let effective_ms = from_ms.unwrap_or(now_ms);
    let mut rows: Vec<PriceRow> = Vec::with_capacity(entries.len());
    for entry in entries {
        let model = entry.model.clone();
        if let Err(error) = entry.check() {
            return Err(PriceChangeError::Wrong { model, error });
        }
        if rows.iter().any(|row| row.model == model) {
            return Err(PriceChangeError::Twice(model));
        }
        let (id, entry) = (new_id(clock), serde_json::to_string(entry)?);
        rows.push(PriceRow { id, model, entry, effective_ms, created_ms: now_ms, ended_ms: None });
    }
    Ok(rows)
}

/// Prices that were ever set in the database, for one name or for all, the newest first.
///
/// # Errors
/// Any database failure.
pub async fn history(
    store: &Store,
    clock: &dyn Clock,
    model: Option<&str>,
) -> Result<Vec<PriceVersion>, StoreError> {
    let rows = store.price_history(model, MOST).await?;
    let now_ms = clock.now_ms();
    Ok(versions(&rows, now_ms))
}

/// The price list as it is in force at a moment. `base` has the prices of the configuration and of
/// the vendors.
///
/// # Errors
/// Any database failure.
pub async fn list_at(store: &Store, base: &PriceList, at_ms: i64) -> Result<PriceList, StoreError> {
    Ok(base.and_set(&store.prices_at(at_ms).await?, at_ms))
}

/// What is told about rows of one name or of all.
pub fn versions(rows: &[PriceRow], now_ms: i64) -> Vec<PriceVersion> {
    let in_force: HashSet<_> = stored::in_force(rows, now_ms).map(|row| &row.id).collect();
    rows.iter().map(|row| version(row, in_force.contains(&row.id), now_ms)).collect()
}

fn version(row: &PriceRow, in_force: bool, now_ms: i64) -> PriceVersion {
    let state = if row.ended_ms.is_some_and(|ended| ended <= now_ms) {
        PriceState::Ended
    } else if row.effective_ms > now_ms {
        PriceState::Future
    } else if in_force {
        PriceState::InForce
    } else {
        PriceState::Replaced
    };
    PriceVersion {
        version: format!("db:{}", row.id),
        effective_ms: row.effective_ms,
        created_ms: row.created_ms,
        ended_ms: row.ended_ms,
        state,
        price: stored::entry_of(row).ok(),
        model: row.model.clone(),
    }
}
