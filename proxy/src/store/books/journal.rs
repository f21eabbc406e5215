//! What was decided, durably, and the tables do not say yet.
//!
//! A batch on SQLite writes one row here instead of many rows elsewhere. What many batches decided
//! is applied to the tables together, in one transaction: most holds have ended by then and never
//! become a row, and counters and sums change once instead of with every batch. Whatever the tables
//! say is always true of one moment; who wants to see the present applies the journal first.

mod packed;

use super::{Booking, Books, NewHold, WindowChange, WindowKey, at_once, sums::sums_of};
use crate::store::{
    Counters, NewAlert, StoreError,
    engine::{Engine, on},
};
use packed::Packed;
use std::{collections::BTreeMap, sync::Arc};

/// Everything that a batch changes.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Counters, each window at most once, in the order of their keys.
    pub windows: Vec<WindowChange>,
    /// Holds that were placed and are open still.
    pub placed: Vec<NewHold>,
    /// Holds of earlier batches that ended.
    pub ended: Vec<Arc<str>>,
    /// What holds of earlier batches have delivered, in tokens.
    pub notes: Vec<(Arc<str>, i64)>,
    /// Entries with what they charged.
    pub bookings: Vec<Booking>,
    /// Windows that passed their alert.
    pub alerts: Vec<NewAlert>,
}

impl Changes {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        let Self { windows, placed, ended, notes, bookings, alerts } = self;
        windows.is_empty()
            && placed.is_empty()
            && ended.is_empty()
            && notes.is_empty()
            && bookings.is_empty()
            && alerts.is_empty()
    }
}

/// What several batches change together.
#[derive(Debug, Default)]
pub struct Pending {
    windows: BTreeMap<WindowKey, Counters>,
    placed: BTreeMap<Arc<str>, NewHold>,
    ended: Vec<Arc<str>>,
    notes: BTreeMap<Arc<str>, i64>,
    bookings: Vec<Booking>,
    alerts: Vec<NewAlert>,
}

impl Pending {
    /// Adds what a later batch changes.
    pub fn add(&mut self, later: Changes) {
        let Changes { windows, placed, ended, notes, bookings, alerts } = later;
        for WindowChange { window, spent, held } in windows {
            let sum = self.windows.entry(window).or_default();
            sum.spent = sum.spent.saturating_add(spent);
            sum.held = sum.held.saturating_add(held);
        }
        for (hold_id, delivered) in notes {
            match self.placed.get_mut(&hold_id) {
                Some(new) => new.delivered_tokens = delivered,
                None => drop(self.notes.insert(hold_id, delivered)),
            }
        }
        for hold_id in ended {
            self.notes.remove(&hold_id);
            if self.placed.remove(&hold_id).is_none() {
                self.ended.push(hold_id);
            }
        }
        self.placed.extend(placed.into_iter().map(|new| (Arc::clone(&new.id), new)));
        self.bookings.extend(bookings);
        self.alerts.extend(alerts);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Self { windows, placed, ended, notes, bookings, alerts } = self;
        windows.is_empty()
            && placed.is_empty()
            && ended.is_empty()
            && notes.is_empty()
            && bookings.is_empty()
            && alerts.is_empty()
    }

    /// How many entries there are to write.
    pub fn entries(&self) -> usize {
        self.bookings.len()
    }

    /// Whether somebody is to be told something.
    pub fn alerts(&self) -> &[NewAlert] {
        &self.alerts
    }

    fn into_changes(self) -> Changes {
        let change = |(window, Counters { spent, held })| WindowChange { window, spent, held };
        let changed = |change: &WindowChange| (change.spent, change.held) != (0, 0);
        Changes {
            windows: self.windows.into_iter().map(change).filter(changed).collect(),
            placed: self.placed.into_values().collect(),
            ended: self.ended,
            notes: self.notes.into_iter().collect(),
            bookings: self.bookings,
            alerts: self.alerts,
        }
    }
}

impl Books {
    /// Whether batches are journaled: several servers that share a database must see each other's
    /// counters at once.
    pub fn has_journal(&self) -> bool {
        matches!(self.link, Engine::Sqlite(_))
    }

    /// Writes what a batch changes into the tables.
    ///
    /// # Errors
    /// `Unbalanced` when a window would pass its cap; then the transaction must not be committed.
    /// Any database failure.
    pub async fn write(&mut self, changes: &Changes, now_ms: i64) -> Result<(), StoreError> {
        if let Engine::Postgres(link) = &mut self.link {
            return at_once::write(link, changes, now_ms).await;
        }
        self.change_windows(&changes.windows, now_ms).await?;
        self.write_rows(changes).await
    }

    async fn write_rows(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.insert_holds(&changes.placed).await?;
        self.insert_entries(&changes.bookings).await?;
        self.add_rollups(&sums_of(&changes.bookings)).await?;
        self.note_delivered(&changes.notes).await
    }

    /// Writes what a batch changes into the journal, durably, in a transaction of its own; or
    /// nothing, where somebody else has written since the books had this [version](Books::version).
    /// Returns whether it was written.
    ///
    /// # Errors
    /// Any database failure; then it does not count, or nobody knows, and the books must
    /// [recover](Books::recover).
    pub async fn journal(&mut self, changes: &Changes, version: i64) -> Result<bool, StoreError> {
        let Engine::Sqlite(link) = &mut self.link else { return Ok(false) };
        let changes = serde_json::to_string(&Packed::of(changes))?;
        let _turn = self.turns.take().await?;
        self.commits = self.commits.wrapping_add(1);
        // Rows of a process that was here before are applied by then.
        let seq = i64::try_from(self.commits).unwrap_or(i64::MAX);
        // A transaction by itself, and no row to be told: one word to the connection's thread and
        // one back, each of which costs more than the statement.
        let text = "insert into journal (seq, changes)
                    select $1, $2 from pragma_data_version where data_version = $3";
        let written = sqlx::query(text).bind(seq).bind(changes).bind(version).execute(link).await?;
        Ok(written.rows_affected() > 0)
    }

    /// What the journal holds; nothing when it is empty.
    ///
    /// # Errors
    /// When a row cannot be read; any database failure.
    pub async fn journaled(&mut self) -> Result<Option<Pending>, StoreError> {
        let text = "select changes from journal order by seq";
        let rows: Vec<String> =
            on!(&mut self.link, db => sqlx::query_scalar(text).fetch_all(&mut *db).await)?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut pending = Pending::default();
        for row in rows {
            pending.add(serde_json::from_str::<Packed<'_>>(&row)?.unpack()?);
        }
        Ok(Some(pending))
    }

    /// Brings the tables up to what the whole journal says, and empties it. That was decided when
    /// it was written: no cap is asked again. Returns the alerts that are new, as
    /// [`Books::insert_alerts`].
    ///
    /// # Errors
    /// Any database failure; then the transaction must not be committed.
    pub async fn apply(&mut self, pending: Pending) -> Result<Vec<(String, i64, i64)>, StoreError> {
        let changes = pending.into_changes();
        self.add_to_windows(&changes.windows).await?;
        self.drop_holds(&changes.ended).await?;
        self.write_rows(&changes).await?;
        let new = self.insert_alerts(&changes.alerts).await?;
        let text = "delete from journal";
        on!(&mut self.link, db => sqlx::query(text).execute(&mut *db).await.map(drop))?;
        Ok(new)
    }

    /// Brings the tables up to date, in a transaction of its own, whoever wrote the journal.
    ///
    /// # Errors
    /// `Busy` when somebody else writes for too long; when a row of the journal cannot be read; any
    /// database failure.
    pub async fn catch_up(&mut self) -> Result<(), StoreError> {
        if !self.has_journal() {
            return Ok(());
        }
        self.begin().await?;
        let caught_up = async {
            match self.journaled().await? {
                None => self.rollback().await,
                Some(pending) => {
                    self.apply(pending).await?;
                    self.commit().await
                }
            }
        };
        let done = caught_up.await;
        if done.is_err() {
            self.recover().await;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Share, *};

    fn hold(id: &str, shares: Vec<Share>) -> NewHold {
        let (node, draft) = (Arc::new("n".to_owned()), Arc::default());
        let (id, shares) = (id.into(), shares.into());
        NewHold { id, node, draft, delivered_tokens: 0, created_ms: 1, shares }
    }

    fn change(spent: i64, held: i64) -> WindowChange {
        let window = WindowKey { budget_id: "b".into(), start_ms: 0 };
        WindowChange { window, spent, held }
    }

    #[test]
    fn a_hold_that_has_ended_by_then_leaves_nothing() {
        let mut pending = Pending::default();
        let (placed, notes) = (vec![hold("a", vec![]), hold("b", vec![])], vec![]);
        let windows = vec![change(0, 30)];
        pending.add(Changes { placed, notes, windows, ..Changes::default() });
        let notes = vec![("b".into(), 7), ("old".into(), 9), ("older".into(), 1)];
        let windows = vec![change(0, 5)];
        pending.add(Changes { notes, windows, ..Changes::default() });
        let ended = vec!["a".into(), "old".into()];
        let windows = vec![change(3, -35)];
        pending.add(Changes { ended, windows, ..Changes::default() });
        let changes = pending.into_changes();
        assert_eq!(changes.windows, [change(3, 0)]);
        assert_eq!(changes.ended, [Arc::from("old")]);
        assert_eq!(changes.notes, [("older".into(), 1)]);
        let [left] = &changes.placed[..] else { panic!("{:?}", changes.placed) };
        assert_eq!((&*left.id, left.delivered_tokens), ("b", 7));
    }

    #[test]
    fn what_a_newer_version_says_more_is_not_passed_over() {
        let packed: Packed<'_> = serde_json::from_str(r#"{"ended": ["h"]}"#).unwrap();
        let changes = packed.unpack().unwrap();
        assert_eq!(changes.ended, [Arc::from("h")]);
        let more = r#"{"ended": ["h"], "moved": [1, 2]}"#;
        assert!(serde_json::from_str::<Packed<'_>>(more).is_err());
    }
}
