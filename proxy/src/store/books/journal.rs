//! What was decided, durably, and the tables do not say yet.
//!
//! A batch on SQLite writes one row here instead of many rows elsewhere. What many batches decided
//! is applied to the tables together, in one transaction: most holds have ended by then and never
//! become a row, and counters and sums change once instead of with every batch. Whatever the tables
//! say is always true of one moment; who wants to see the present applies the journal first.

use super::{Booking, Books, NewHold, RollupKey, RollupRow, WindowChange, WindowKey};
use crate::store::{
    Counters, NewAlert, StoreError,
    engine::{Engine, on},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that a batch changes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Changes {
    /// Counters, each window at most once, in the order of their keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowChange>,
    /// Holds that were placed and are open still.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub placed: Vec<NewHold>,
    /// Holds of earlier batches that ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<String>,
    /// What holds of earlier batches have delivered, in tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<(String, i64)>,
    /// Entries with what they charged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bookings: Vec<Booking>,
    /// What is added to the sums of hours, in the order of their keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<(RollupKey, RollupRow)>,
    /// Windows that passed their alert.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<NewAlert>,
}

impl Changes {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        let Self { windows, placed, ended, notes, bookings, sums, alerts } = self;
        windows.is_empty()
            && placed.is_empty()
            && ended.is_empty()
            && notes.is_empty()
            && bookings.is_empty()
            && sums.is_empty()
            && alerts.is_empty()
    }
}

/// What several batches change together.
#[derive(Debug, Default)]
pub struct Pending {
    windows: BTreeMap<WindowKey, Counters>,
    placed: BTreeMap<String, NewHold>,
    ended: Vec<String>,
    notes: BTreeMap<String, i64>,
    bookings: Vec<Booking>,
    sums: BTreeMap<RollupKey, RollupRow>,
    alerts: Vec<NewAlert>,
}

impl Pending {
    /// Adds what a later batch changes.
    pub fn add(&mut self, later: Changes) {
        let Changes { windows, placed, ended, notes, bookings, sums, alerts } = later;
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
        self.placed.extend(placed.into_iter().map(|new| (new.id.clone(), new)));
        for (key, row) in sums {
            self.sums.entry(key).or_default().add(&row);
        }
        self.bookings.extend(bookings);
        self.alerts.extend(alerts);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Self { windows, placed, ended, notes, bookings, sums, alerts } = self;
        windows.is_empty()
            && placed.is_empty()
            && ended.is_empty()
            && notes.is_empty()
            && bookings.is_empty()
            && sums.is_empty()
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
            sums: self.sums.into_iter().collect(),
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
        self.change_windows(&changes.windows, now_ms).await?;
        self.write_rows(changes).await
    }

    async fn write_rows(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.insert_holds(&changes.placed).await?;
        self.insert_entries(&changes.bookings).await?;
        self.add_rollups(&changes.sums).await?;
        self.note_delivered(&changes.notes).await
    }

    /// Writes what a batch changes into the journal, as the next row: rows of a process that was
    /// here before are applied by then.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn append(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let text = "insert into journal (seq, changes) values ($1, $2)";
        let changes = serde_json::to_string(changes)?;
        let seq = i64::try_from(self.commits).unwrap_or(i64::MAX);
        on!(&mut self.link, db => sqlx::query(text)
            .bind(seq)
            .bind(changes)
            .execute(&mut *db)
            .await
            .map(drop))?;
        Ok(())
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
            pending.add(serde_json::from_str(&row)?);
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
        let ended: Vec<&str> = changes.ended.iter().map(String::as_str).collect();
        self.take_holds(&ended).await?;
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
    use std::sync::Arc;

    fn hold(id: &str, shares: Vec<Share>) -> NewHold {
        let (node, draft) = (Arc::new("n".to_owned()), Arc::default());
        let id = id.to_owned();
        NewHold { id, node, draft, delivered_tokens: 0, created_ms: 1, shares }
    }

    fn change(spent: i64, held: i64) -> WindowChange {
        let window = WindowKey { budget_id: "b".to_owned(), start_ms: 0 };
        WindowChange { window, spent, held }
    }

    #[test]
    fn a_hold_that_has_ended_by_then_leaves_nothing() {
        let mut pending = Pending::default();
        let (placed, notes) = (vec![hold("a", vec![]), hold("b", vec![])], vec![]);
        let windows = vec![change(0, 30)];
        pending.add(Changes { placed, notes, windows, ..Changes::default() });
        let notes = vec![("b".to_owned(), 7), ("old".to_owned(), 9), ("older".to_owned(), 1)];
        let windows = vec![change(0, 5)];
        pending.add(Changes { notes, windows, ..Changes::default() });
        let ended = vec!["a".to_owned(), "old".to_owned()];
        let windows = vec![change(3, -35)];
        pending.add(Changes { ended, windows, ..Changes::default() });
        let changes = pending.into_changes();
        assert_eq!(changes.windows, [change(3, 0)]);
        assert_eq!(changes.ended, ["old"]);
        assert_eq!(changes.notes, [("older".to_owned(), 1)]);
        let [left] = &changes.placed[..] else { panic!("{:?}", changes.placed) };
        assert_eq!((left.id.as_str(), left.delivered_tokens), ("b", 7));
    }

    #[test]
    fn what_a_newer_version_says_more_is_not_passed_over() {
        let changes: Changes = serde_json::from_str(r#"{"ended": ["h"]}"#).unwrap();
        assert_eq!(changes.ended, ["h"]);
        let more = r#"{"ended": ["h"], "moved": [1, 2]}"#;
        assert!(serde_json::from_str::<Changes>(more).is_err());
    }
}
