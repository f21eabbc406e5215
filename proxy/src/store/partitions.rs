//! Months of entries as partitions, on PostgreSQL: made ahead, and dropped whole.
//!
//! Names and bounds cannot be parameters of such statements: they travel as settings of the
//! transaction, and PostgreSQL itself quotes them.

use super::{Books, StoreError, engine::Engine};
use sqlx::{FromRow, PgConnection};

/// A partition of the entries.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Partition {
    /// Name of its table.
    pub name: String,
    /// Entries that began at or after.
    pub from_ms: i64,
    /// Entries that began before.
    pub until_ms: i64,
}

/// What came of a partition that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is there now; so many entries were moved into it.
    New {
        /// Entries.
        moved: u64,
    },
    /// Another one has some of its time already.
    Taken,
    /// It was not made: the default partition has more entries of its time than may be moved while
    /// everybody waits.
    TooMany,
}

const PARTITIONS: &str = r"
    select name, from_ms, until_ms from (
        select cast(c.relname as text) as name,
               cast(substring(pg_get_expr(c.relpartbound, c.oid) from $$FROM \('(-?\d+)'\)$$)
                    as bigint) as from_ms,
               cast(substring(pg_get_expr(c.relpartbound, c.oid) from $$TO \('(-?\d+)'\)$$)
                    as bigint) as until_ms
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = to_regclass('usage_entries')) p
    where from_ms is not null and until_ms is not null order by from_ms";

const STRAY: &str = "select count(*) from (
        select 1 from usage_entries_default where started_ms >= $1 and started_ms < $2 limit $3) s";

const MAKE: &str = "do $$
    declare
        part text := current_setting('tollgate.partition');
        since bigint := current_setting('tollgate.since');
        before bigint := current_setting('tollgate.before');
    begin
        execute format('create table %I (like usage_entries including defaults)', part);
        execute format(
            'with moved as (
                 delete from usage_entries_default
                 where started_ms >= $1 and started_ms < $2 returning *)
             insert into %I select * from moved', part) using since, before;
        execute format(
            'alter table usage_entries attach partition %I for values from (%L) to (%L)',
            part, since, before);
    end $$";

/// Nobody writes entries of that time any more.
const CLOSE: &str = "do $$ begin
        execute format('lock table only %I in share mode', current_setting('tollgate.partition'));
    end $$";

const DROP: &str = "do $$ begin
        execute format('drop table %I', current_setting('tollgate.partition'));
    end $$";

/// What the entries of a month charged to which window.
const CHARGED: &str = "create temp table charged on commit drop as
    select c.value ->> 0 as budget_id, cast(c.value ->> 1 as bigint) as start_ms,
           cast(sum(cast(c.value ->> 2 as bigint)) as bigint) as amount
    from usage_entries e cross join jsonb_array_elements(cast(e.charges as jsonb)) c
    where e.started_ms >= cast(current_setting('tollgate.since') as bigint)
      and e.started_ms < cast(current_setting('tollgate.before') as bigint)
      and e.charges like '[[%'
    group by 1, 2";

/// In their own order, as the ledger does.
const LOCK_CHARGED: &str = "select count(*) from (
        select w.budget_id from budget_windows w
        join charged c on c.budget_id = w.budget_id and c.start_ms = w.start_ms
        order by w.budget_id, w.start_ms for update of w) locked";

const ARCHIVE_CHARGED: &str = "update budget_windows w set archived = w.archived + c.amount
    from charged c where c.budget_id = w.budget_id and c.start_ms = w.start_ms";

async fn name(db: &mut PgConnection, partition: &Partition) -> Result<(), StoreError> {
    let text = "select set_config('tollgate.partition', $1, true),
                       set_config('tollgate.since', $2, true),
                       set_config('tollgate.before', $3, true)";
    sqlx::query(text)
        .bind(&partition.name)
        .bind(partition.from_ms.to_string())
        .bind(partition.until_ms.to_string())
        .execute(db)
        .await?;
    Ok(())
}

impl Books {
    /// Whether entries are in partitions at all.
    pub fn has_partitions(&self) -> bool {
        matches!(self.link, Engine::Postgres(_))
    }

    /// The partitions with bounds, the oldest first; none on SQLite.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn partitions(&mut self) -> Result<Vec<Partition>, StoreError> {
        let Engine::Postgres(db) = &mut self.link else { return Ok(Vec::new()) };
        Ok(sqlx::query_as(PARTITIONS).fetch_all(&mut *db).await?)
    }

    /// Makes a partition, in a transaction of the caller's. Entries of its time that went to the
    /// default partition are moved, at most `limit`: everybody else waits meanwhile.
    ///
    /// # Errors
    /// Any database failure; then the transaction must not be committed.
    pub async fn make_partition(
        &mut self,
        partition: &Partition,
        limit: u32,
    ) -> Result<Made, StoreError> {
        let Engine::Postgres(db) = &mut self.link else { return Ok(Made::Taken) };
        sqlx::query("lock table usage_entries in access exclusive mode").execute(&mut *db).await?;
        let there: Vec<Partition> = sqlx::query_as(PARTITIONS).fetch_all(&mut *db).await?;
        let meets = |other: &Partition| {
            other.from_ms < partition.until_ms && partition.from_ms < other.until_ms
        };
        if there.iter().any(meets) {
            return Ok(Made::Taken);
        }
        let stray: i64 = sqlx::query_scalar(STRAY)
            .bind(partition.from_ms)
            .bind(partition.until_ms)
            .bind(i64::from(limit).saturating_add(1))
            .fetch_one(&mut *db)
            .await?;
        if stray > i64::from(limit) {
            return Ok(Made::TooMany);
        }
        name(db, partition).await?;
        sqlx::query(MAKE).execute(&mut *db).await?;
        Ok(Made::New { moved: u64::try_from(stray).unwrap_or_default() })
    }

    /// Drops a partition, in a transaction of the caller's, and keeps what its entries charged.
    ///
    /// # Errors
    /// Any database failure; then the transaction must not be committed.
    pub async fn drop_partition(&mut self, partition: &Partition) -> Result<(), StoreError> {
        let Engine::Postgres(db) = &mut self.link else { return Ok(()) };
        name(db, partition).await?;
        for statement in [CLOSE, CHARGED, LOCK_CHARGED, ARCHIVE_CHARGED, DROP] {
            sqlx::query(statement).execute(&mut *db).await?;
        }
        self.keep_from(partition.until_ms).await
    }
}
