//! Holds: money set aside for requests that have not ended yet.

use super::{Books, WindowKey, json};
use crate::store::{
    NewEntry, StoreError,
    engine::{Engine, Text, on, rows_of_parameter, with_rows},
};
use serde::{Deserialize, Serialize, Serializer};
use sqlx::FromRow;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A hold that was found open.
#[derive(Clone, Debug, FromRow)]
pub struct OpenHold {
    /// The hold's id.
    pub id: String,
    /// The server process that placed it.
    pub node: String,
    /// JSON of the entry as it was planned.
    pub draft: String,
    /// Output tokens known to be delivered.
    pub delivered_tokens: i64,
}

/// A hold to be recorded.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// The hold's id.
    pub id: Arc<str>,
    /// The server process that placed it.
    pub node: Arc<String>,
    /// The entry as it is planned.
    pub draft: Arc<NewEntry>,
    /// Output tokens known to be delivered.
    pub delivered_tokens: i64,
    /// When it was placed.
    pub created_ms: i64,
    /// What it sets aside, in every budget of its chain.
    pub shares: Arc<[Share]>,
}

/// What one hold sets aside in one window.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "(Arc<str>, i64, i64)")]
pub struct Share {
    /// The window.
    pub window: WindowKey,
    /// In the resource's unit.
    pub amount: i64,
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.window.budget_id, self.window.start_ms, self.amount).serialize(serializer)
    }
}

impl From<(Arc<str>, i64, i64)> for Share {
    fn from((budget_id, start_ms, amount): (Arc<str>, i64, i64)) -> Self {
        Self { window: WindowKey { budget_id, start_ms }, amount }
    }
}

/// As the column holds it: `[[budget, start of the window, amount], ...]`.
pub(in crate::store) fn shares_text(shares: &[Share]) -> Result<String, StoreError> {
    Ok(serde_json::to_string(shares)?)
}

/// What cannot be read sets nothing aside, so that it keeps no hold from ending; the doctor finds
/// what is held by nobody.
pub(in crate::store) fn shares_of(text: &str) -> Vec<Share> {
    read_shares(text).unwrap_or_default()
}

/// The shares of a hold, or the charges of an entry.
pub(in crate::store) fn read_shares(text: &str) -> Result<Vec<Share>, StoreError> {
    Ok(serde_json::from_str(text)?)
}

/// Several servers may end the same holds at once: that of a live server that was taken for dead
/// and those that sweep it. They take them in the same order, so that none waits for another that
/// waits for it.
///
/// PostgreSQL may have planned this while the table was empty, and keeps the plan while thousands
/// are open: a join went through all of them for each. So it gets no table to join with, only ids
/// that it can do nothing with but look up.
pub(super) const TAKE: Text = Text {
    sqlite: "delete from holds where id in (select e.value ->> 0 from jsonb_each($1) e)
             returning id, shares",
    postgres: "with open as materialized (
                   select h.id from holds h where h.id = any($1) order by h.id for update)
               delete from holds where id = any(array(select o.id from open o))
               returning id, shares",
};

/// Puts down holds, one a row.
macro_rules! insert_holds {
    ($rows:expr) => {
        concat!(
            "insert into holds (id, node, created_ms, draft, delivered_tokens, shares)
             select e.value ->> 0, e.value ->> 1, cast(e.value ->> 2 as bigint), e.value ->> 3,
                    cast(e.value ->> 4 as bigint), e.value ->> 5
             from ",
            $rows,
            " e"
        )
    };
}

const INSERT: Text = Text {
    sqlite: insert_holds!("jsonb_each($1)"),
    postgres: insert_holds!(rows_of_parameter!("$1")),
};

/// What PostgreSQL locks before [`note_holds`]: a hold that somebody else is ending is left alone.
/// Whoever ends it may wait for windows that this transaction has locked by now, and this one must
/// not wait for it then.
macro_rules! lock_noted {
    ($ids:literal) => {
        concat!("select h.id from holds h where h.id = any(", $ids, ") for update skip locked")
    };
}

/// Changes the holds of the table `noted`; an object tells the number of each. Looked up as in
/// [`TAKE`].
macro_rules! note_holds {
    ($numbers:literal) => {
        concat!(
            "update holds
             set delivered_tokens =
                 cast((select cast(",
            $numbers,
            " as jsonb)) ->> holds.id as bigint)
             where id = any(array(select n.id from noted n))"
        )
    };
}

pub(super) use {insert_holds, lock_noted, note_holds};

pub(super) const NOTE: Text = Text {
    sqlite: "update holds set delivered_tokens = n.delivered
             from (select e.value ->> 0 as hold_id, cast(e.value ->> 1 as bigint) as delivered
                   from jsonb_each($1) e) n
             where holds.id = n.hold_id",
    postgres: concat!("with noted as materialized (", lock_noted!("$1"), ") ", note_holds!("$2")),
};

impl Books {
    /// Removes those of the holds that are open; returns what each had set aside. The windows are
    /// changed by [`Books::change_windows`], in the same transaction.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn take_holds(
        &mut self,
        ids: &[&str],
    ) -> Result<HashMap<Arc<str>, Arc<[Share]>>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let text = self.link.text(TAKE);
        let taken: Vec<(String, String)> = match &mut self.link {
            Engine::Sqlite(db) => {
                let ids: Vec<_> = ids.iter().map(|id| [id]).collect();
                sqlx::query_as(text).bind(json::text(ids)?).fetch_all(db).await?
            }
            Engine::Postgres(db) => sqlx::query_as(text).bind(ids).fetch_all(db).await?,
        };
        Ok(taken.into_iter().map(|(id, shares)| (id.into(), shares_of(&shares).into())).collect())
    }

    /// As [`Books::take_holds`], where it is known what they had set aside.
    pub(super) async fn drop_holds(&mut self, ids: &[Arc<str>]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let rows = json::text(ids.iter().map(|id| [id]).collect::<Vec<_>>())?;
        let text = with_rows!("delete from holds where id in (select e.value ->> 0 from", "e)");
        self.link.run_with(text, rows).await
    }

    /// Records open holds with all their shares.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_holds(&mut self, holds: &[NewHold]) -> Result<(), StoreError> {
        if holds.is_empty() {
            return Ok(());
        }
        let rows = rows_of(holds)?;
        self.link.run_with(INSERT, rows).await
    }

    /// Notes how many tokens the answers of open holds have delivered. One that is being ended at
    /// this moment is passed over.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn note_delivered(&mut self, notes: &[(Arc<str>, i64)]) -> Result<(), StoreError> {
        if notes.is_empty() {
            return Ok(());
        }
        let text = self.link.text(NOTE);
        match &mut self.link {
            Engine::Sqlite(db) => {
                sqlx::query(text).bind(json::text(notes)?).execute(db).await?;
            }
            Engine::Postgres(db) => {
                let (ids, numbers) = noted(notes)?;
                sqlx::query(text).bind(ids).bind(numbers).execute(db).await?;
            }
        }
        Ok(())
    }

    /// Those of the holds that are open now.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn holds(&mut self, ids: &[String]) -> Result<Vec<OpenHold>, StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| [id]).collect();
        let ids = json::text(ids)?;
        let text = self.link.text(with_rows!(
            "select h.id, h.node, h.draft, h.delivered_tokens from",
            "e cross join holds h where h.id = e.value ->> 0 order by h.id"
        ));
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(ids)
            .fetch_all(&mut *db)
            .await)?)
    }

    /// Every hold that is open now.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn open_holds(&mut self) -> Result<Vec<OpenHold>, StoreError> {
        let text = "select id, node, draft, delivered_tokens from holds order by id";
        Ok(on!(&mut self.link, db => sqlx::query_as(text).fetch_all(&mut *db).await)?)
    }
}

/// Holds as they travel.
pub(super) fn rows_of(holds: &[NewHold]) -> Result<String, StoreError> {
    let mut rows = Vec::with_capacity(holds.len());
    for new in holds {
        let NewHold { id, node, draft, delivered_tokens, created_ms, shares } = new;
        let draft = serde_json::to_string(&**draft)?;
        rows.push((id, &**node, created_ms, draft, delivered_tokens, shares_text(shares)?));
    }
    json::text(rows)
}

/// The ids of holds, and an object with the number of each.
pub(super) fn noted(notes: &[(Arc<str>, i64)]) -> Result<(Vec<&str>, String), StoreError> {
    let numbers: BTreeMap<&str, i64> = notes.iter().map(|(id, n)| (&**id, *n)).collect();
    let text = json::text(&numbers)?;
    Ok((numbers.into_keys().collect(), text))
}
