//! Old entries and old sums are deleted, and what the entries charged stays in the books.
//!
//! The invariant of every window is `spent = archived + the charges of its entries`: whatever takes
//! entries away adds their charges to `archived`, in the same transaction.

use super::{
    Books, Share, StoreError, WindowKey,
    books::{json, shares_of},
    engine::{Engine, Text, on, with_rows},
};
use std::collections::BTreeMap;

/// One server at a time takes entries away or moves them: the number of an advisory lock.
const UPKEEP: i64 = 0x746f_6c6c_6761_7465;

/// On PostgreSQL only those that are in no month's partition: months are dropped whole.
const FORGET: Text = Text {
    sqlite: "delete from usage_entries where (request_id, attempt, started_ms) in
                 (select request_id, attempt, started_ms from usage_entries
                  where started_ms < $1 order by started_ms limit $2)
             returning charges",
    postgres: "delete from usage_entries_default where (request_id, attempt, started_ms) in
                   (select request_id, attempt, started_ms from usage_entries_default
                    where started_ms < $1 order by started_ms limit $2)
               returning charges",
};

/// Windows are locked in their own order, as the ledger does.
const LOCK_WINDOWS: Text = Text {
    sqlite: "select count(*) from budget_windows where budget_id = $1",
    postgres: "select count(*) from (
                   select w.budget_id
                   from jsonb_array_elements(cast($1 as jsonb)) e cross join budget_windows w
                   where w.budget_id = e.value ->> 0
                     and w.start_ms = cast(e.value ->> 1 as bigint)
                   order by w.budget_id, w.start_ms for update of w) locked",
};

impl Books {
    /// Takes the turn of the one server that looks after old entries, until the transaction ends.
    /// Returns false when another one has it.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn take_turn(&mut self) -> Result<bool, StoreError> {
        let Engine::Postgres(db) = &mut self.link else { return Ok(true) };
        let text = "select pg_try_advisory_xact_lock($1)";
        Ok(sqlx::query_scalar(text).bind(UPKEEP).fetch_one(&mut *db).await?)
    }

    /// Deletes the oldest entries that began before a moment, at most `limit`, and keeps what they
    /// charged. Returns how many it deleted.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn forget_entries(&mut self, before_ms: i64, limit: u32) -> Result<u64, StoreError> {
        let text = self.link.text(FORGET);
        let charges: Vec<String> = on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(before_ms)
            .bind(i64::from(limit))
            .fetch_all(&mut *db)
            .await)?;
        let mut sums: BTreeMap<WindowKey, i64> = BTreeMap::new();
        for Share { window, amount } in charges.iter().flat_map(|text| shares_of(text)) {
            let sum = sums.entry(window).or_default();
            *sum = sum.saturating_add(amount);
        }
        if !charges.is_empty() {
            self.archive(&sums).await?;
            self.keep_from(before_ms).await?;
        }
        Ok(u64::try_from(charges.len()).unwrap_or(u64::MAX))
    }

    /// Adds to the part of `spent` whose entries are gone.
    async fn archive(&mut self, sums: &BTreeMap<WindowKey, i64>) -> Result<(), StoreError> {
        if sums.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> =
            sums.iter().map(|(key, sum)| (&key.budget_id, key.start_ms, sum)).collect();
        let rows = json::text(rows)?;
        let lock = self.link.text(LOCK_WINDOWS);
        let text = self.link.text(with_rows!(
            "update budget_windows set archived = archived + c.amount
             from (select e.value ->> 0 as budget_id, cast(e.value ->> 1 as bigint) as start_ms,
                          cast(e.value ->> 2 as bigint) as amount
                   from",
            "e) c
             where budget_windows.budget_id = c.budget_id
               and budget_windows.start_ms = c.start_ms"
        ));
        on!(&mut self.link, db => {
            let _: i64 = sqlx::query_scalar(lock).bind(&rows).fetch_one(&mut *db).await?;
            sqlx::query(text).bind(&rows).execute(&mut *db).await.map(drop)
        })?;
        Ok(())
    }

    /// Entries that began before this may be gone.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn kept_from(&mut self) -> Result<i64, StoreError> {
        let text = "select from_ms from entries_kept where id = 1";
        let from: Option<i64> =
            on!(&mut self.link, db => sqlx::query_scalar(text).fetch_optional(&mut *db).await)?;
        Ok(from.unwrap_or_default())
    }

    pub(super) async fn keep_from(&mut self, ms: i64) -> Result<(), StoreError> {
        let text = "update entries_kept set from_ms = $1 where id = 1 and from_ms < $1";
        on!(&mut self.link, db => sqlx::query(text).bind(ms).execute(&mut *db).await.map(drop))?;
        Ok(())
    }

    /// Deletes the sums of the oldest hour, if it began before a moment. Returns how many rows.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn forget_rollups(&mut self, before_ms: i64) -> Result<u64, StoreError> {
        let text = "delete from usage_rollups
                    where hour_ms = (select min(hour_ms) from usage_rollups) and hour_ms < $1";
        Ok(on!(&mut self.link, db => sqlx::query(text)
            .bind(before_ms)
            .execute(&mut *db)
            .await
            .map(|done| done.rows_affected()))?)
    }
}
