//! Everything that a batch changes on PostgreSQL, as one statement.
//!
//! Each statement is a way to the database and back, on which the locks of the batch are held and
//! both sides wait to be woken: on a busy machine that takes longer than the work.

use super::{
    Changes,
    holds::{self, insert_holds, lock_noted, note_holds},
    rollups::{self, add_rollups},
    sums::sums_of,
    windows::{self, add_to_windows, change_windows},
};
use crate::store::{
    StoreError,
    engine::rows_of_parameter,
    entries::{self, insert_entries},
};
use sqlx::PgConnection;

/// Its parts see the tables as they were before it, and touch different rows. The windows are locked
/// by then, and the sums are taken in the order of their keys, so that no two servers wait for each
/// other.
const WRITE: &str = concat!(
    "with changed as (",
    change_windows!(rows_of_parameter!("$1"), "$2"),
    " returning 1), placed as (",
    insert_holds!(rows_of_parameter!("$3")),
    "), booked as (",
    insert_entries!(rows_of_parameter!("$4")),
    "), summed as (",
    add_rollups!(rows_of_parameter!("$5")),
    "), noted as materialized (",
    lock_noted!("$6"),
    "), told as (",
    note_holds!("$7"),
    ") select count(*) from changed"
);

/// Writes it.
///
/// # Errors
/// `Unbalanced` when a window would pass its cap or is missing; then the transaction must not be
/// committed. Any database failure.
pub(super) async fn write(
    link: &mut PgConnection,
    changes: &Changes,
    now_ms: i64,
) -> Result<(), StoreError> {
    // Ends are written when they are taken, and alerts by themselves: they are rare.
    let Changes { windows, placed, ended: _, notes, bookings, alerts: _ } = changes;
    if windows.is_empty() && placed.is_empty() && notes.is_empty() && bookings.is_empty() {
        return Ok(());
    }
    let (noted, numbers) = holds::noted(notes)?;
    let changed: i64 = sqlx::query_scalar(WRITE)
        .bind(windows::rows_of(windows)?)
        .bind(now_ms)
        .bind(holds::rows_of(placed)?)
        .bind(entries::rows_of(bookings)?)
        .bind(rollups::rows_of(&sums_of(bookings))?)
        .bind(noted)
        .bind(numbers)
        .fetch_one(link)
        .await?;
    windows::balanced(windows, u64::try_from(changed).unwrap_or_default())
}
