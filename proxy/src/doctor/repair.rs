//! Sets the books to what proves them.
//!
//! Beside running servers: each window is corrected in a transaction of its own, under its lock.
//! `held` is then what the open holds come to at that moment. `spent` is corrected by the
//! difference that the snapshot showed, because reading all entries under the lock would keep
//! every call waiting; a server changes both sides of that difference alike, so it stays right
//! however much was spent since.

use super::{
    Depth, Patient,
    calls::{open_calls, settlement},
    open,
    report::{Repair, window_from},
    rollups,
    sums::{Comparison, Difference, clamp},
};
use crate::{
    ledger::{bounds, settle_orphans},
    store::{Books, Counters, Deed, Store, StoreError, WindowKey},
};
use serde_json::{Value, json};
use tollgate_types::Window;

/// Whether something is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Change what is wrong.
    Apply,
    /// Say what would be changed.
    DryRun,
}

/// What was changed, and why no more was.
#[derive(Debug, Default)]
pub struct Repairs {
    /// In the order in which they were made.
    pub made: Vec<Repair>,
    /// What stopped it. What was made before stays.
    pub stopped: Option<StoreError>,
}

/// Corrects every window that differs from what proves it, settles the holds of servers that died,
/// and makes hourly sums again. Changes nothing when nothing is wrong.
pub async fn repair(patient: &Patient<'_>, mode: Mode) -> Repairs {
    let mut made = Vec::new();
    let stopped = repair_all(patient, mode, &mut made).await.err();
    Repairs { made, stopped }
}

async fn repair_all(
    patient: &Patient<'_>,
    mode: Mode,
    made: &mut Vec<Repair>,
) -> Result<(), StoreError> {
    let store = open(patient.place).await?;
    // Taken before anything is read, so that nothing is corrected that somebody just corrected.
    let claim = match mode {
        Mode::Apply => Some(store.claim_repair().await?),
        Mode::DryRun => None,
    };
    // Windows first: a hold cannot end in one whose counters are too large to be added to.
    windows(patient, &store, mode, made).await?;
    holds(patient, &store, mode, made).await?;
    if patient.depth == Depth::Whole
        && let Some(repair) = rollups::plan(&store).await?
    {
        if mode == Mode::Apply {
            rollups::rebuild(patient, &store, &repair).await?;
        }
        made.push(repair);
    }
    drop(claim);
    store.close().await;
    Ok(())
}

async fn holds(
    patient: &Patient<'_>,
    store: &Store,
    mode: Mode,
    made: &mut Vec<Repair>,
) -> Result<(), StoreError> {
    let mut orphans = open_calls(store, patient.clock).await?;
    orphans.retain(super::OpenCall::is_orphan);
    if orphans.is_empty() {
        return Ok(());
    }
    let settled: Vec<_> = orphans
        .iter()
        .map(|orphan| {
            let (subject, before, after) = settlement(orphan);
            Repair { what: "hold", subject, before, after }
        })
        .collect();
    if mode == Mode::Apply {
        settle_orphans(store, patient.clock).await?;
        record_settled(patient, store, &settled).await?;
    }
    made.extend(settled);
    Ok(())
}

async fn record_settled(
    patient: &Patient<'_>,
    store: &Store,
    settled: &[Repair],
) -> Result<(), StoreError> {
    let mut change = store.change().await?;
    for repair in settled {
        let subject = format!("hold:{}", repair.subject);
        change.record(deed(patient, "doctor.settle", subject, repair)).await?;
    }
    change.commit().await
}

async fn windows(
    patient: &Patient<'_>,
    store: &Store,
    mode: Mode,
    made: &mut Vec<Repair>,
) -> Result<(), StoreError> {
    let mut comparison = Comparison::begin(store, patient.depth).await?;
    let mut books = store.books().await?;
    while let Some(differences) = comparison.next(patient.progress).await? {
        for difference in differences {
            match mode {
                Mode::DryRun => made.push(planned(&difference)),
                Mode::Apply => made.extend(correct(patient, store, &mut books, &difference).await?),
            }
        }
    }
    Ok(())
}

fn planned(difference: &Difference) -> Repair {
    let Difference { spent, held, .. } = difference;
    let values = |spent: Option<i64>, held: i64| match spent {
        Some(spent) => json!({"spent": spent, "held": held}),
        None => json!({"held": held}),
    };
    let before = values(spent.map(|spent| spent.counted), held.counted);
    let after = values(spent.map(|spent| spent.proven), held.proven);
    repaired(&difference.window, before, after)
}

fn repaired(window: &WindowKey, before: Value, after: Value) -> Repair {
    let subject = format!("budget {} in {}", window.budget_id, window_from(window.start_ms));
    Repair { what: "window", subject, before, after }
}

/// Corrects a window and records that, or does neither. `None` when the window is right by now, or
/// belongs to no budget.
async fn correct(
    patient: &Patient<'_>,
    store: &Store,
    books: &mut Books,
    difference: &Difference,
) -> Result<Option<Repair>, StoreError> {
    let window = &difference.window;
    if !difference.is_there && !open_window(store, books, window).await? {
        return Ok(None);
    }
    let mut change = store.change().await?;
    let Some(before) = change.lock_window(window).await? else { return Ok(None) };
    let held = clamp(change.held_in(window).await?);
    let missing =
        difference.spent.map_or(0, |pair| i128::from(pair.proven) - i128::from(pair.counted));
    let after = Counters { spent: clamp(i128::from(before.spent) + missing), held };
    if after == before && difference.is_readable {
        return Ok(None);
    }
    let values = |c: Counters| json!({"spent": c.spent, "held": c.held});
    let repair = repaired(window, values(before), values(after));
    if !change.set_counters(window, after).await? {
        return Ok(None);
    }
    let subject = format!("window:{}:{}", window.budget_id, window.start_ms);
    change.record(deed(patient, "doctor.correct", subject, &repair)).await?;
    change.commit().await?;
    Ok(Some(repair))
}

pub(super) fn deed(patient: &Patient<'_>, action: &str, subject: String, repair: &Repair) -> Deed {
    Deed {
        at_ms: patient.clock.now_ms(),
        actor: patient.actor.as_str().to_owned(),
        action: action.to_owned(),
        subject,
        before: repair.before.to_string(),
        after: repair.after.to_string(),
    }
}

/// Opens a window that somebody's hand removed. Returns false when its budget is gone too.
async fn open_window(
    store: &Store,
    books: &mut Books,
    window: &WindowKey,
) -> Result<bool, StoreError> {
    let Some(budget) = store.budget_ever(&window.budget_id).await? else { return Ok(false) };
    let span: Window = budget.span.parse().map_err(StoreError::Row)?;
    let end_ms = bounds(span, window.start_ms, &budget.time_zone).end_ms;
    books.open_windows(&[(window.clone(), end_ms)]).await?;
    Ok(true)
}
