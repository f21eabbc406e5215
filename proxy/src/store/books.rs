//! The ledger's own connection: holds, window counters and entries in one transaction.

use super::{BudgetRow, Counters, EntryRow, StoreError};
use sqlx::{Connection, FromRow, SqliteConnection, sqlite::SqliteConnectOptions};

/// The one connection that moves money. Callers put statements between `begin` and `commit`, and
/// undo a single step with `mark` and `undo`.
#[derive(Debug)]
pub struct Books {
    connection: SqliteConnection,
    options: SqliteConnectOptions,
}

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

/// A budget with the counters of the window that a hold belongs to.
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

/// What a request costs the budgets it was charged to, one amount per resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// Nano-dollars.
    pub cost: i64,
    /// Tokens of every kind.
    pub tokens: i64,
    /// 1, or 0 when the request does not count.
    pub requests: i64,
}

impl Books {
    pub(super) fn new(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        Self { connection, options }
    }

    /// Begins a transaction with the write lock taken.
    ///
    /// # Errors
    /// `Busy` when another process has it for too long.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.run("begin immediate").await
    }

    /// Makes everything since `begin` durable.
    ///
    /// # Errors
    /// Any database failure; then nothing since `begin` counts.
    pub async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("commit").await
    }

    /// Marks a step that may be undone.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn mark(&mut self) -> Result<(), StoreError> {
        self.run("savepoint step").await
    }

    /// Undoes everything since `mark`.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn undo(&mut self) -> Result<(), StoreError> {
        self.run("rollback to step").await?;
        self.keep().await
    }

    /// Keeps everything since `mark`.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        self.run("release step").await
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Leaves a failed transaction; opens a new connection when the old one is beyond repair.
    pub async fn recover(&mut self) {
        let left = self.run("rollback").await.is_ok() || self.run("select 1").await.is_ok();
        if !left && let Ok(fresh) = SqliteConnection::connect_with(&self.options).await {
            self.connection = fresh;
        }
    }

    /// Living budgets of a user and a key, in the fixed order in which holds are placed.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn chain(
        &mut self,
        user_id: &str,
        key_id: &str,
    ) -> Result<Vec<BudgetRow>, StoreError> {
        Ok(sqlx::query_as(
            "select b.id, b.owner_kind, b.owner_id, u.name as owner_name, u.time_zone,
                    b.resource, b.span, b.cap
             from budgets b join users u on u.id = $1
             where b.deleted_ms is null
               and ((b.owner_kind = 'user' and b.owner_id = $1)
                    or (b.owner_kind = 'key' and b.owner_id = $2))
             order by b.owner_kind desc, b.id",
        )
        .bind(user_id)
        .bind(key_id)
        .fetch_all(&mut self.connection)
        .await?)
    }

    /// The counters of a window, which is opened when it is new.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn window(
        &mut self,
        budget_id: &str,
        start_ms: i64,
        end_ms: Option<i64>,
    ) -> Result<Counters, StoreError> {
        sqlx::query(
            "insert into budget_windows (budget_id, start_ms, end_ms, spent, held)
             values ($1, $2, $3, 0, 0) on conflict (budget_id, start_ms) do nothing",
        )
        .bind(budget_id)
        .bind(start_ms)
        .bind(end_ms)
        .execute(&mut self.connection)
        .await?;
        self.counters(budget_id, start_ms).await
    }

    /// The counters of a window that was opened before.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn counters(
        &mut self,
        budget_id: &str,
        start_ms: i64,
    ) -> Result<Counters, StoreError> {
        Ok(sqlx::query_as(
            "select spent, held from budget_windows where budget_id = $1 and start_ms = $2",
        )
        .bind(budget_id)
        .bind(start_ms)
        .fetch_one(&mut self.connection)
        .await?)
    }

    /// Sets an amount aside if the cap allows it; returns whether it did. The condition stands in
    /// the statement itself, so that no reading before it can be out of date.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn set_aside(
        &mut self,
        hold_id: &str,
        budget_id: &str,
        start_ms: i64,
        amount: i64,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update budget_windows set held = held + $3
             where budget_id = $1 and start_ms = $2 and $3 >= 0
               and $3 <= (select cap from budgets where id = $1) - spent - held",
        )
        .bind(budget_id)
        .bind(start_ms)
        .bind(amount)
        .execute(&mut self.connection)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "insert into hold_amounts (hold_id, budget_id, start_ms, amount)
             values ($1, $2, $3, $4)",
        )
        .bind(hold_id)
        .bind(budget_id)
        .bind(start_ms)
        .bind(amount)
        .execute(&mut self.connection)
        .await?;
        Ok(true)
    }

    /// Records an open hold; its amounts follow.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_hold(&mut self, hold: &OpenHold, now_ms: i64) -> Result<(), StoreError> {
        sqlx::query(
            "insert into holds (id, node, created_ms, draft, delivered_tokens)
             values ($1, $2, $3, $4, $5)",
        )
        .bind(&hold.id)
        .bind(&hold.node)
        .bind(now_ms)
        .bind(&hold.draft)
        .bind(hold.delivered_tokens)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Notes how much an open hold's answer has delivered.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn note_delivered(&mut self, hold_id: &str, tokens: i64) -> Result<(), StoreError> {
        sqlx::query("update holds set delivered_tokens = $2 where id = $1")
            .bind(hold_id)
            .bind(tokens)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Releases what a hold set aside and spends at most as much, each resource by its own amount.
    /// [`Books::forget`] follows.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn release(&mut self, hold_id: &str, charge: Charge) -> Result<(), StoreError> {
        sqlx::query(
            "update budget_windows
             set held = held - a.amount,
                 spent = spent + case when a.charge < a.amount then a.charge else a.amount end
             from (select h.budget_id, h.start_ms, h.amount,
                          case b.resource when 'cost' then $2 when 'tokens' then $3 else $4 end
                              as charge
                   from hold_amounts h join budgets b on b.id = h.budget_id
                   where h.hold_id = $1) a
             where budget_windows.budget_id = a.budget_id
               and budget_windows.start_ms = a.start_ms",
        )
        .bind(hold_id)
        .bind(charge.cost)
        .bind(charge.tokens)
        .bind(charge.requests)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// The budgets that a hold is charged to, with the counters of its windows.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn charged(&mut self, hold_id: &str) -> Result<Vec<ChargedBudget>, StoreError> {
        Ok(sqlx::query_as(
            "select b.id, b.owner_kind, b.owner_id, u.name as owner_name, u.time_zone,
                    b.resource, b.span, b.cap, w.spent, w.held, w.end_ms
             from hold_amounts h
             join budgets b on b.id = h.budget_id
             join budget_windows w on w.budget_id = h.budget_id and w.start_ms = h.start_ms
             left join api_keys k on b.owner_kind = 'key' and k.id = b.owner_id
             join users u on u.id = case b.owner_kind when 'key' then k.user_id else b.owner_id end
             where h.hold_id = $1
             order by b.owner_kind desc, b.id",
        )
        .bind(hold_id)
        .fetch_all(&mut self.connection)
        .await?)
    }

    /// Removes a hold that was released. Returns false when it had ended before.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn forget(&mut self, hold_id: &str) -> Result<bool, StoreError> {
        sqlx::query("delete from hold_amounts where hold_id = $1")
            .bind(hold_id)
            .execute(&mut self.connection)
            .await?;
        let done = sqlx::query("delete from holds where id = $1")
            .bind(hold_id)
            .execute(&mut self.connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records what a request used. A second entry of the same request and attempt is ignored.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_entry(&mut self, entry: &EntryRow) -> Result<(), StoreError> {
        entry.insert(&mut self.connection).await
    }

    /// Every hold that is open now.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn open_holds(&mut self) -> Result<Vec<OpenHold>, StoreError> {
        Ok(sqlx::query_as("select id, node, draft, delivered_tokens from holds order by id")
            .fetch_all(&mut self.connection)
            .await?)
    }
}
