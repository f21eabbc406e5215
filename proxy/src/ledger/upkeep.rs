//! Looks after old usage once a day: months of entries to come, entries and sums that are too old.
//!
//! It has a connection of its own, works in small transactions, and of several servers one does it
//! at a time. Nothing here is in the way of a request.

use crate::{
    clock::Clock,
    config::Retention,
    store::{Books, Made, Partition, Store, StoreError, hour_of},
    tasks::Tasks,
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(86_400);
const DAY_MS: i64 = 86_400_000;
/// After a failure it is tried again sooner.
const AGAIN: Duration = Duration::from_secs(600);
/// Entries that are deleted in one transaction: the ledger waits for it.
const CHUNK: u32 = 500;
/// Entries that are moved into their month in one transaction: everybody waits for it.
const MOVED: u32 = 20_000;
/// This month and so many behind it have a partition.
const AHEAD: i32 = 2;

/// What a round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Partitions that were made.
    pub made: u64,
    /// Partitions that were dropped.
    pub dropped: u64,
    /// Entries that were deleted one by one.
    pub entries: u64,
    /// Rows of sums that were deleted.
    pub rollups: u64,
}

/// Makes the months ready before the first call, then looks after them once a day.
pub async fn start(store: Store, clock: Arc<dyn Clock>, tasks: &Tasks, retention: Retention) {
    if let Err(error) = prepare(&store, clock.now_ms()).await {
        tracing::warn!(%error, "the months of the entries could not be prepared, their entries wait in the default partition");
    }
    tasks.spawn(run(store, clock, tasks.clone(), retention));
}

/// Makes the partitions that are missing. Returns how many.
async fn prepare(store: &Store, now_ms: i64) -> Result<u64, StoreError> {
    make_months(&mut store.books().await?, now_ms).await
}

async fn run(store: Store, clock: Arc<dyn Clock>, tasks: Tasks, retention: Retention) {
    // Servers that start together do not come together.
    let mut wait = AGAIN * fastrand::u32(50..150) / 100;
    loop {
        tokio::select! {
            () = tasks.stopping() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let round = tokio::select! {
            () = tasks.stopping() => return,
            round = round(&store, &retention, clock.now_ms()) => round,
        };
        let pause = match round {
            Ok(round) => {
                report(round);
                DAY
            }
            Err(error) => {
                tracing::warn!(%error, "old usage could not be looked after, and is tried again");
                AGAIN
            }
        };
        wait = pause * fastrand::u32(90..110) / 100;
    }
}

fn report(round: Round) {
    if round != Round::default() {
        let Round { made, dropped, entries, rollups } = round;
        tracing::info!(made, dropped, entries, rollups, "old usage was looked after");
    }
}

/// Looks after everything once.
///
/// # Errors
/// Any database failure; what was done before it stays done.
pub async fn round(store: &Store, retention: &Retention, now_ms: i64) -> Result<Round, StoreError> {
    let mut books = store.books().await?;
    let mut round = Round { made: make_months(&mut books, now_ms).await?, ..Round::default() };
    if let Some(days) = retention.entries_days {
        let before_ms = cutoff(now_ms, days);
        round.dropped = drop_months(&mut books, before_ms).await?;
        round.entries = forget(&mut books, before_ms).await?;
    }
    if let Some(days) = retention.rollups_days {
        round.rollups = forget_rollups(&mut books, cutoff(now_ms, days)).await?;
    }
    Ok(round)
}

/// The beginning of the hour so many days ago.
fn cutoff(now_ms: i64, days: u32) -> i64 {
    hour_of(now_ms.saturating_sub(i64::from(days).saturating_mul(DAY_MS)))
}

/// All of them in one turn: another server that finds the turn taken has nothing left to do.
async fn make_months(books: &mut Books, now_ms: i64) -> Result<u64, StoreError> {
    let there = books.partitions().await?;
    let covers = |month: &Partition| {
        there.iter().any(|one| one.from_ms <= month.from_ms && month.until_ms <= one.until_ms)
    };
    let missing: Vec<_> = months(now_ms).into_iter().filter(|month| !covers(month)).collect();
    if missing.is_empty() || !books.has_partitions() {
        return Ok(0);
    }
    let made = in_turn(books, async |books| {
        let mut made = 0;
        for month in &missing {
            made += u64::from(make(books, month).await?);
        }
        Ok(made)
    });
    Ok(made.await?.unwrap_or_default())
}

async fn make(books: &mut Books, month: &Partition) -> Result<bool, StoreError> {
    match books.make_partition(month, MOVED).await? {
        Made::New { moved } => {
            if moved > 0 {
                tracing::info!(
                    partition = month.name,
                    moved,
                    "entries were moved into their month"
                );
            }
            Ok(true)
        }
        Made::Taken => Ok(false),
        Made::TooMany => {
            tracing::warn!(
                partition = month.name,
                limit = MOVED,
                "the default partition has too many entries of this month to move them while others wait: they stay there, and are deleted one by one when they are old"
            );
            Ok(false)
        }
    }
}

async fn drop_months(books: &mut Books, before_ms: i64) -> Result<u64, StoreError> {
    let mut dropped = 0;
    for month in books.partitions().await? {
        if month.until_ms > before_ms {
            continue;
        }
        let gone = in_turn(books, async |books| books.drop_partition(&month).await).await?;
        dropped += u64::from(gone.is_some());
    }
    Ok(dropped)
}

async fn forget(books: &mut Books, before_ms: i64) -> Result<u64, StoreError> {
    let mut deleted = 0_u64;
    loop {
        let some = async |books: &mut Books| books.forget_entries(before_ms, CHUNK).await;
        let Some(some) = in_turn(books, some).await? else { return Ok(deleted) };
        deleted = deleted.saturating_add(some);
        if some < u64::from(CHUNK) {
            return Ok(deleted);
        }
        // Whoever waits for the books comes first.
        tokio::task::yield_now().await;
    }
}

async fn forget_rollups(books: &mut Books, before_ms: i64) -> Result<u64, StoreError> {
    let mut deleted = 0_u64;
    loop {
        let some = async |books: &mut Books| books.forget_rollups(before_ms).await;
        match in_turn(books, some).await? {
            None | Some(0) => return Ok(deleted),
            Some(some) => deleted = deleted.saturating_add(some),
        }
        tokio::task::yield_now().await;
    }
}

/// Does something in a transaction, unless another server has the turn. A failure takes it back.
async fn in_turn<T>(
    books: &mut Books,
    act: impl AsyncFnOnce(&mut Books) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    books.begin().await?;
    let done = async {
        if !books.take_turn().await? {
            return Ok(None);
        }
        act(books).await.map(Some)
    };
    let done = done.await;
    match done {
        Ok(Some(done)) => books.commit().await.map(|()| Some(done)),
        other => {
            books.recover().await;
            other
        }
    }
}

/// This month and those behind it, by UTC.
fn months(now_ms: i64) -> Vec<Partition> {
    let Ok(now) = Timestamp::from_millisecond(now_ms) else { return Vec::new() };
    let first = now.to_zoned(TimeZone::UTC).date().first_of_month();
    (0..=AHEAD).filter_map(|ahead| month(first.checked_add(ahead.months()).ok()?)).collect()
}

fn month(first: Date) -> Option<Partition> {
    let ms = |date: Date| Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond());
    Some(Partition {
        name: first.strftime("usage_entries_%Y_%m").to_string(),
        from_ms: ms(first)?,
        until_ms: ms(first.checked_add(1.month()).ok()?)?,
    })
}

#[cfg(test)]
mod tests;
