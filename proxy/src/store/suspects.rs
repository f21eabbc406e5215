//! Rows that an operator wants to see when something looks wrong.

use super::{BudgetRow, Counters, Store, StoreError, budgets::budget_columns, engine::on};
use sqlx::FromRow;

/// A window in which more is spent and held than its cap allows.
#[derive(Clone, Debug, FromRow)]
pub struct Overdrawn {
    /// The budget.
    #[sqlx(flatten)]
    pub budget: BudgetRow,
    /// What the window counts.
    #[sqlx(flatten)]
    pub counters: Counters,
    /// Where it begins.
    pub start_ms: i64,
}

/// A living budget whose owner is not in the database.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct Ownerless {
    /// The budget.
    pub id: String,
    /// `user`, `key` ...
    pub owner_kind: String,
    /// The owner's id.
    pub owner_id: String,
}

/// Entries of calls that begin only later.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct FutureEntries {
    /// How many.
    pub entries: i64,
    /// When the last of them begins.
    pub latest_ms: Option<i64>,
}

impl Store {
    /// Windows of living hard budgets that are open at a moment and in which more is spent and
    /// held than the cap of that moment allows, at most `limit`.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn overdrawn(&self, now_ms: i64, limit: i64) -> Result<Vec<Overdrawn>, StoreError> {
        self.catch_up().await?;
        // As numeric: what somebody's hand wrote there may be too large to be added.
        let text = concat!(
            "select ",
            budget_columns!("b."),
            ",
                           cast(w.spent as bigint) as spent, cast(w.held as bigint) as held,
                           w.start_ms
                    from budget_windows w join budgets b on b.id = w.budget_id
                    where b.deleted_ms is null and b.enforcement <> 'soft'
                      and w.start_ms <= $1 and (w.end_ms is null or w.end_ms > $1)
                      and cast(w.spent as numeric) + cast(w.held as numeric)
                          > cast(b.cap as numeric)
                            + case when $1 < b.raise_until_ms then b.raise_amount else 0 end
                    order by b.id, w.start_ms limit $2"
        );
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(now_ms)
            .bind(limit)
            .fetch_all(db)
            .await)?)
    }

    /// Living budgets whose owner is not there, at most `limit`. One that is only deleted is.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn ownerless(&self, limit: i64) -> Result<Vec<Ownerless>, StoreError> {
        let text = "select b.id, b.owner_kind, b.owner_id from budgets b
                    where b.deleted_ms is null
                      and not (b.owner_kind = 'default' and b.owner_id = '')
                      and not exists (select 1 from users u
                                      where b.owner_kind = 'user' and u.id = b.owner_id)
                      and not exists (select 1 from api_keys k
                                      where b.owner_kind = 'key' and k.id = b.owner_id)
                      and not exists (select 1 from teams t
                                      where b.owner_kind in ('team', 'default')
                                        and t.id = b.owner_id)
                      and not exists (select 1 from organisations o
                                      where b.owner_kind = 'organisation' and o.id = b.owner_id)
                    order by b.id limit $1";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(limit).fetch_all(db).await)?)
    }

    /// How many windows belong to a budget that is not there; one that is only deleted is.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn windows_of_no_budget(&self) -> Result<i64, StoreError> {
        self.count(
            "select count(*) from budget_windows w
             where not exists (select 1 from budgets b where b.id = w.budget_id)",
        )
        .await
    }

    /// Entries of calls that begin after a moment.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn entries_after(&self, now_ms: i64) -> Result<FutureEntries, StoreError> {
        let text = "select count(*) as entries, max(started_ms) as latest_ms
                    from usage_entries where started_ms > $1";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(now_ms).fetch_one(db).await)?)
    }

    /// The time zones that living budgets and users follow.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn time_zones(&self) -> Result<Vec<String>, StoreError> {
        let text = "select time_zone from budgets where deleted_ms is null
                    union select time_zone from users where deleted_ms is null order by 1";
        Ok(on!(&self.pool, db => sqlx::query_scalar(text).fetch_all(db).await)?)
    }

    /// The budget of an id, living or deleted.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn budget_ever(&self, id: &str) -> Result<Option<BudgetRow>, StoreError> {
        let text = concat!("select ", budget_columns!(""), " from budgets where id = $1");
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(id).fetch_optional(db).await)?)
    }
}
