//! Windows against what proves them: `held` against open holds, `spent` against entries.
//!
//! All of it is read in one snapshot, so servers may go on beside it. A running server changes a
//! window and what proves it in one transaction: the difference between the two is damage, and
//! stays what it is until somebody repairs it.
//!
//! Memory is bounded: where there are more windows than [`AT_ONCE`], the table of entries is read
//! several times, each time for another part of the windows.

use super::Depth;
use crate::store::{Share, Snapshot, Store, StoreError, WindowKey, WindowRow};
use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

/// Windows that are summed in one reading: some fifty megabytes.
const AT_ONCE: usize = 250_000;
/// Entries between two reports of progress.
const STEP: u64 = 4096;

/// Counters, as they stand and as holds and entries prove them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub counted: i64,
    pub proven: i64,
}

impl Pair {
    fn of(counted: i64, proven: i128) -> Self {
        Self { counted, proven: clamp(proven) }
    }

    fn differs(self) -> bool {
        self.counted != self.proven
    }
}

/// A window whose counters are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub window: WindowKey,
    /// Absent where entries were not read, or not all of them can be read.
    pub spent: Option<Pair>,
    pub held: Pair,
    /// Whether the window has a row at all.
    pub is_there: bool,
    /// Whether its counters are whole numbers.
    pub is_readable: bool,
}

impl Difference {
    pub(super) fn in_spent(&self) -> bool {
        !self.is_readable || self.spent.is_some_and(Pair::differs)
    }

    pub(super) fn in_held(&self) -> bool {
        !self.is_readable || self.held.differs()
    }
}

/// What was read so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub windows: usize,
    pub holds: usize,
    pub entries: u64,
    /// Holds whose shares cannot be read, the first thousand.
    pub unreadable_holds: Vec<String>,
    /// Requests whose charges cannot be read, the first thousand.
    pub unreadable_entries: Vec<String>,
    /// There are more windows without a row than can be told at once.
    pub overflowed: bool,
}

#[derive(Default)]
struct Tally {
    row: Option<WindowRow>,
    held: i128,
    spent: i128,
}

/// A reading of the whole books, part by part.
pub(super) struct Comparison {
    snapshot: Snapshot,
    depth: Depth,
    part: u64,
    parts: u64,
    at_once: usize,
    entries: u64,
    pub seen: Seen,
}

/// Told how many of how many entries were read.
pub type Progress<'p> = &'p dyn Fn(u64, u64);

impl Comparison {
    pub(super) async fn begin(store: &Store, depth: Depth) -> Result<Self, StoreError> {
        Self::in_parts_of(store, depth, AT_ONCE).await
    }

    pub(super) async fn in_parts_of(
        store: &Store,
        depth: Depth,
        at_once: usize,
    ) -> Result<Self, StoreError> {
        let mut snapshot = store.snapshot().await?;
        let windows = snapshot.count_windows().await?;
        let entries = match depth {
            Depth::Quick => 0,
            Depth::Whole => snapshot.count_charged().await?,
        };
        let parts = u64::try_from(windows).unwrap_or_default() / at_once.max(1) as u64 + 1;
        let entries = u64::try_from(entries).unwrap_or_default();
        Ok(Self { snapshot, depth, part: 0, parts, at_once, entries, seen: Seen::default() })
    }

    /// The differences of the next part, in the order of their windows; `None` after the last.
    pub(super) async fn next(
        &mut self,
        progress: Progress<'_>,
    ) -> Result<Option<Vec<Difference>>, StoreError> {
        if self.part == self.parts {
            return Ok(None);
        }
        let mut tallies = self.windows().await?;
        self.holds(&mut tallies).await?;
        if self.depth == Depth::Whole {
            self.entries(&mut tallies, progress).await?;
        }
        self.part += 1;
        let is_spent_known = self.depth == Depth::Whole && self.seen.unreadable_entries.is_empty();
        let mut found: Vec<_> = tallies
            .into_iter()
            .filter_map(|(window, tally)| difference(window, &tally, is_spent_known))
            .collect();
        found.sort_unstable_by(|a, b| a.window.cmp(&b.window));
        Ok(Some(found))
    }

    async fn windows(&mut self) -> Result<HashMap<WindowKey, Tally>, StoreError> {
        let (part, parts) = (self.part, self.parts);
        let mut tallies = HashMap::new();
        self.snapshot
            .each_window(|row| {
                let key = row.key();
                if part_of(&key, parts) == part {
                    tallies.insert(key, Tally { row: Some(row), ..Tally::default() });
                }
            })
            .await?;
        self.seen.windows += tallies.len();
        Ok(tallies)
    }

    async fn holds(&mut self, tallies: &mut HashMap<WindowKey, Tally>) -> Result<(), StoreError> {
        let mut filter = Part::of(self);
        let (mut holds, mut unreadable) = (0, Vec::new());
        self.snapshot
            .each_hold(|id, shares| {
                holds += 1;
                match shares {
                    Ok(shares) => filter.add(tallies, shares, |tally| &mut tally.held),
                    Err(_) if unreadable.len() < super::report::LISTED => unreadable.push(id),
                    Err(_) => {}
                }
            })
            .await?;
        self.seen.holds = holds;
        self.seen.unreadable_holds = unreadable;
        self.seen.overflowed |= filter.overflowed;
        Ok(())
    }

    async fn entries(
        &mut self,
        tallies: &mut HashMap<WindowKey, Tally>,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let mut filter = Part::of(self);
        let (before, all) = (self.part * self.entries, self.parts * self.entries);
        let (mut entries, mut unreadable) = (0, Vec::new());
        self.snapshot
            .each_charge(|request_id, charges| {
                entries += 1;
                if entries % STEP == 0 {
                    progress(before + entries, all);
                }
                match charges {
                    Ok(charges) => filter.add(tallies, charges, |tally| &mut tally.spent),
                    Err(_) if unreadable.len() < super::report::LISTED => {
                        unreadable.push(request_id);
                    }
                    Err(_) => {}
                }
            })
            .await?;
        self.seen.entries = entries;
        self.seen.unreadable_entries = unreadable;
        self.seen.overflowed |= filter.overflowed;
        Ok(())
    }
}

/// The part of the windows that is summed now.
struct Part {
    part: u64,
    parts: u64,
    /// Windows without a row that may still be told.
    room: usize,
    overflowed: bool,
}

impl Part {
    fn of(comparison: &Comparison) -> Self {
        let Comparison { part, parts, at_once, .. } = comparison;
        Self { part: *part, parts: *parts, room: *at_once, overflowed: false }
    }

    fn add(
        &mut self,
        tallies: &mut HashMap<WindowKey, Tally>,
        shares: Vec<Share>,
        sum: impl Fn(&mut Tally) -> &mut i128,
    ) {
        for Share { window, amount } in shares {
            if part_of(&window, self.parts) != self.part {
                continue;
            }
            if let Some(tally) = tallies.get_mut(&window) {
                *sum(tally) += i128::from(amount);
            } else if self.room > 0 {
                self.room -= 1;
                *sum(tallies.entry(window).or_default()) += i128::from(amount);
            } else {
                self.overflowed = true;
            }
        }
    }
}

fn part_of(window: &WindowKey, parts: u64) -> u64 {
    if parts == 1 {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    window.hash(&mut hasher);
    hasher.finish() % parts
}

fn difference(window: WindowKey, tally: &Tally, is_spent_known: bool) -> Option<Difference> {
    let row = tally.row.as_ref();
    let counted = |of: fn(&WindowRow) -> i64| row.map(of).unwrap_or_default();
    let proven = i128::from(counted(|row| row.archived)) + tally.spent;
    let found = Difference {
        spent: is_spent_known.then(|| Pair::of(counted(|row| row.spent), proven)),
        held: Pair::of(counted(|row| row.held), tally.held),
        is_there: row.is_some(),
        is_readable: row.is_none_or(|row| row.whole == 1),
        window,
    };
    (found.in_spent() || found.in_held()).then_some(found)
}

/// Stops at the largest and smallest amounts.
pub(super) fn clamp(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}
