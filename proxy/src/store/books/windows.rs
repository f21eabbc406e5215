//! Windows of budgets: read for a whole batch, and changed for a whole batch.

use super::{Books, json};
use crate::store::{
    BudgetRow, Counters, StoreError,
    budgets::budget_columns,
    engine::{Text, on, rows_of_parameter, with_rows},
};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use std::sync::Arc;

/// Names a window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey {
    /// The budget.
    pub budget_id: Arc<str>,
    /// Where the window begins.
    pub start_ms: i64,
}

/// Whose budgets are asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// `organisation`, `team`, `user` or `key`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
}

/// A row that was found for one of several that were asked for. One that cannot be read spoils
/// nothing but itself.
#[derive(Debug)]
pub struct Found<T> {
    /// Which one was asked for, counted from 0.
    pub asked: usize,
    /// The row.
    pub row: Result<T, StoreError>,
}

/// A budget with the counters of one window.
#[derive(Clone, Debug, FromRow)]
pub struct ChargedBudget {
    /// The budget.
    #[sqlx(flatten)]
    pub budget: BudgetRow,
    /// The window's counters.
    #[sqlx(flatten)]
    pub counters: Counters,
    /// When the window ends.
    pub end_ms: Option<i64>,
}

/// What a batch adds to the counters of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowChange {
    /// The window.
    pub window: WindowKey,
    /// Added to `spent`.
    pub spent: i64,
    /// Added to `held`; releases are negative.
    pub held: i64,
}

/// The windows of the rows `[number, budget, start]`.
macro_rules! windows {
    ($rows:expr) => {
        concat!(
            "select cast(e.value ->> 0 as bigint) as asked, ",
            budget_columns!("b."),
            ", w.spent, w.held, w.end_ms
             from ",
            $rows,
            " e cross join budget_windows w cross join budgets b
             where w.budget_id = e.value ->> 1
               and w.start_ms = cast(e.value ->> 2 as bigint) and b.id = w.budget_id
             order by w.budget_id, w.start_ms"
        )
    };
}

fn found<T, R>(rows: &[R]) -> Result<Vec<Found<T>>, StoreError>
where
    R: Row,
    T: for<'r> FromRow<'r, R>,
    for<'n> &'n str: ColumnIndex<R>,
    for<'r> i64: Decode<'r, R::Database> + Type<R::Database>,
{
    rows.iter()
        .map(|row| {
            let asked = usize::try_from(row.try_get::<i64, _>("asked")?).unwrap_or(usize::MAX);
            Ok(Found { asked, row: T::from_row(row).map_err(StoreError::from) })
        })
        .collect()
}

/// Adds to the counters of windows, up to the rows `[budget, start, spent, held]`.
macro_rules! add_to_windows {
    () => {
        "update budget_windows
         set spent = budget_windows.spent + c.spent, held = budget_windows.held + c.held
         from (select e.value ->> 0 as budget_id, cast(e.value ->> 1 as bigint) as start_ms,
                      cast(e.value ->> 2 as bigint) as spent,
                      cast(e.value ->> 3 as bigint) as held
               from"
    };
}

/// [`add_to_windows`] where the cap allows it at this moment.
macro_rules! change_windows {
    ($rows:expr, $now:literal) => {
        concat!(
            add_to_windows!(),
            " ",
            $rows,
            " e) c cross join budgets b
             where budget_windows.budget_id = c.budget_id
               and budget_windows.start_ms = c.start_ms and b.id = c.budget_id
               and (b.enforcement = 'soft' or c.spent + c.held <= 0
                    or budget_windows.spent + budget_windows.held + c.spent + c.held
                       - case when ",
            $now,
            " < b.raise_until_ms then b.raise_amount else 0 end
                       <= b.cap)"
        )
    };
}

pub(super) use {add_to_windows, change_windows};

const CHANGE: Text = Text {
    sqlite: change_windows!("jsonb_each($1)", "$2"),
    postgres: change_windows!(rows_of_parameter!("$1"), "$2"),
};

/// Windows are locked in their own order, so that no two servers wait for each other.
const WINDOWS: Text = Text {
    sqlite: windows!("jsonb_each($1)"),
    postgres: concat!(windows!(rows_of_parameter!("$1")), " for update of w"),
};

impl Books {
    /// Living budgets of owners; those of one owner in the fixed order in which they are charged.
    /// Also those that were deleted together with their user: servers believe its keys for up to a
    /// second, and must not take them for keys without budgets.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budgets_of(
        &mut self,
        owners: &[Owner],
    ) -> Result<Vec<Found<BudgetRow>>, StoreError> {
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<_> = owners
            .iter()
            .enumerate()
            .map(|(asked, owner)| (asked, owner.kind, &owner.id))
            .collect();
        let asked = json::text(asked)?;
        // The cross join keeps SQLite to this order of tables: the few that are asked for first.
        let text = self.link.text(with_rows!(
            concat!(
                "select cast(e.value ->> 0 as bigint) as asked, ",
                budget_columns!("b."),
                " from"
            ),
            "e cross join budgets b
             where b.owner_kind = e.value ->> 1 and b.owner_id = e.value ->> 2
               and (b.deleted_ms is null
                    or b.deleted_ms = (
                        select u.deleted_ms from users u
                        where u.id = case b.owner_kind
                            when 'user' then b.owner_id
                            else (select k.user_id from api_keys k where k.id = b.owner_id) end))
             order by 1, b.id"
        ));
        on!(&mut self.link, db => {
            found(&sqlx::query(text).bind(asked).fetch_all(&mut *db).await?)
        })
    }

    /// Windows that were opened before, with their budgets, living or deleted. Nobody else changes
    /// them until the transaction ends.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn windows(
        &mut self,
        windows: &[WindowKey],
    ) -> Result<Vec<Found<ChargedBudget>>, StoreError> {
        if windows.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<_> = windows
            .iter()
            .enumerate()
            .map(|(asked, window)| (asked, &window.budget_id, window.start_ms))
            .collect();
        let asked = json::text(asked)?;
        let text = self.link.text(WINDOWS);
        on!(&mut self.link, db => {
            found(&sqlx::query(text).bind(asked).fetch_all(&mut *db).await?)
        })
    }

    /// Opens windows that are new, each with its end.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn open_windows(
        &mut self,
        windows: &[(WindowKey, Option<i64>)],
    ) -> Result<(), StoreError> {
        if windows.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = windows
            .iter()
            .map(|(window, end_ms)| (&window.budget_id, window.start_ms, end_ms))
            .collect();
        let rows = json::text(rows)?;
        let text = with_rows!(
            "insert into budget_windows (budget_id, start_ms, end_ms, spent, held)
             select e.value ->> 0, cast(e.value ->> 1 as bigint), cast(e.value ->> 2 as bigint),
                    0, 0
             from",
            "e where true order by 1, 2 on conflict (budget_id, start_ms) do nothing"
        );
        self.link.run_with(text, rows).await
    }

    /// Changes the counters of windows, each at most once. The cap's condition stands in the
    /// statement itself, so that no mistake in what was decided before can pass it.
    ///
    /// # Errors
    /// `Unbalanced` when a change would bring a window above its cap, or a window is missing:
    /// then the transaction must not be committed. Any database failure.
    pub async fn change_windows(
        &mut self,
        changes: &[WindowChange],
        now_ms: i64,
    ) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let rows = rows_of(changes)?;
        let text = self.link.text(CHANGE);
        let changed = on!(&mut self.link, db => sqlx::query(text)
            .bind(rows)
            .bind(now_ms)
            .execute(&mut *db)
            .await
            .map(|done| done.rows_affected()))?;
        balanced(changes, changed)
    }

    /// As [`Books::change_windows`], for what was decided and told before: no cap is asked again,
    /// and a window that is gone is passed over.
    pub(super) async fn add_to_windows(
        &mut self,
        changes: &[WindowChange],
    ) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let rows = rows_of(changes)?;
        let text = with_rows!(
            add_to_windows!(),
            "e) c
             where budget_windows.budget_id = c.budget_id
               and budget_windows.start_ms = c.start_ms"
        );
        self.link.run_with(text, rows).await
    }
}

/// Whether every window could be changed.
pub(super) fn balanced(changes: &[WindowChange], changed: u64) -> Result<(), StoreError> {
    let expected = u64::try_from(changes.len()).unwrap_or(u64::MAX);
    if changed == expected { Ok(()) } else { Err(StoreError::Unbalanced { expected, changed }) }
}

/// Changes as they travel.
pub(super) fn rows_of(changes: &[WindowChange]) -> Result<String, StoreError> {
    let row = |change: &'_ WindowChange| {
        let WindowChange { window, spent, held } = change;
        (window.budget_id.clone(), window.start_ms, *spent, *held)
    };
    json::text(changes.iter().map(row).collect::<Vec<_>>())
}
