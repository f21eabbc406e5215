//! The sums of an hour against its entries: told apart, and made again.
//!
//! Hours whose entries may be deleted are left alone: nothing says any more what they should be.

use crate::store::{
    Books, EntryCursor, HOUR_MS, RollupKey, RollupRow, Store, StoreError, Sums, add_entry, hour_of,
};
use std::collections::BTreeSet;

/// Entries that are in memory at once.
const PAGE: u32 = 1_000;
/// Differences that are told of one look.
const TOLD: usize = 1_000;

/// A row of sums that is not what its entries come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupDifference {
    /// Which row.
    pub key: RollupKey,
    /// What it says; absent when it is missing.
    pub found: Option<RollupRow>,
    /// What its entries come to; absent when there are none.
    pub expected: Option<RollupRow>,
}

/// Rows of sums of the hours from one moment up to another that are not what their entries come
/// to: at most a thousand of them.
///
/// # Errors
/// Any database failure.
pub async fn rollups_differ(
    store: &Store,
    (from_ms, until_ms): (i64, i64),
) -> Result<Vec<RollupDifference>, StoreError> {
    store.catch_up().await?;
    let mut books = store.books().await?;
    let mut differences = Vec::new();
    let mut at_ms = first_whole(&mut books, from_ms).await?;
    while differences.len() < TOLD
        && let Some(next_ms) = books.next_usage(at_ms, until_ms).await?
    {
        let hour_ms = hour_of(next_ms);
        books.begin_snapshot().await?;
        let found = books.rollups(hour_ms).await?;
        let expected = sums_of(&mut books, hour_ms).await?;
        books.rollback().await?;
        differences.extend(differ(&found, &expected));
        at_ms = hour_ms.saturating_add(HOUR_MS);
    }
    differences.truncate(TOLD);
    Ok(differences)
}

/// Makes the sums of the hours from one moment up to another again, out of their entries. Returns
/// how many hours were wrong. Servers may write meanwhile.
///
/// # Errors
/// Any database failure; the hours before the one that failed are right.
pub async fn rebuild_rollups(
    store: &Store,
    (from_ms, until_ms): (i64, i64),
) -> Result<u64, StoreError> {
    store.catch_up().await?;
    let mut books = store.books().await?;
    let mut rebuilt = 0_u64;
    let mut at_ms = first_whole(&mut books, from_ms).await?;
    while let Some(next_ms) = books.next_usage(at_ms, until_ms).await? {
        let hour_ms = hour_of(next_ms);
        rebuilt = rebuilt.saturating_add(u64::from(rebuild(&mut books, hour_ms).await?));
        at_ms = hour_ms.saturating_add(HOUR_MS);
    }
    Ok(rebuilt)
}

/// Entries come into the books before their sums do, in one transaction: with the sums locked,
/// an entry that is seen here is summed already, and one that is not adds itself later.
async fn rebuild(books: &mut Books, hour_ms: i64) -> Result<bool, StoreError> {
    books.begin().await?;
    books.lock_rollups().await?;
    let found = books.rollups(hour_ms).await?;
    let expected = sums_of(books, hour_ms).await?;
    if found == expected {
        books.rollback().await?;
        return Ok(false);
    }
    books.clear_rollups(hour_ms).await?;
    books.add_rollups(&expected).await?;
    books.commit().await?;
    Ok(true)
}

/// The first hour, at or after a moment's, of which no entry can be missing.
async fn first_whole(books: &mut Books, from_ms: i64) -> Result<i64, StoreError> {
    let kept_ms = books.kept_from().await?.saturating_add(HOUR_MS - 1);
    Ok(hour_of(from_ms).max(hour_of(kept_ms)))
}

async fn sums_of(books: &mut Books, hour_ms: i64) -> Result<Sums, StoreError> {
    let until_ms = hour_ms.saturating_add(HOUR_MS);
    let mut sums = Sums::new();
    let mut after = EntryCursor { started_ms: hour_ms, request_id: String::new(), attempt: 0 };
    loop {
        let entries = books.entries_after(&after, until_ms, PAGE).await?;
        let last = entries.last().filter(|_| entries.len() >= PAGE as usize);
        let next = last.map(|last| EntryCursor {
            started_ms: last.started_ms,
            request_id: last.request_id.clone(),
            attempt: last.attempt,
        });
        entries.into_iter().for_each(|entry| add_entry(&mut sums, &entry.into()));
        match next {
            Some(next) => after = next,
            None => return Ok(sums),
        }
    }
}

fn differ(found: &Sums, expected: &Sums) -> Vec<RollupDifference> {
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let differences = keys.into_iter().filter_map(|key| {
        let (found, expected) = (found.get(key).copied(), expected.get(key).copied());
        (found != expected).then(|| RollupDifference { key: key.clone(), found, expected })
    });
    differences.collect()
}
