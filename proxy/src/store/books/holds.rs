//! Holds: money set aside for requests that have not ended yet.

use super::{Books, WindowKey, json};
use crate::store::StoreError;
use sqlx::FromRow;
use std::collections::HashMap;

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
    /// The hold.
    pub hold: OpenHold,
    /// When it was placed.
    pub created_ms: i64,
    /// What it sets aside, in every budget of its chain.
    pub shares: Vec<Share>,
}

/// What one hold sets aside in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The window.
    pub window: WindowKey,
    /// In the resource's unit.
    pub amount: i64,
}

#[derive(FromRow)]
struct ShareRow {
    hold_id: String,
    budget_id: String,
    start_ms: i64,
    amount: i64,
}

impl Books {
    /// Removes those of the holds that are open; returns what each had set aside. The windows are
    /// changed by [`Books::change_windows`], in the same transaction.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn take_holds(
        &mut self,
        ids: &[&str],
    ) -> Result<HashMap<String, Vec<Share>>, StoreError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids = json::text(ids)?;
        // The cast reads an amount that is no number as 0, so that it keeps no hold from ending.
        let shares: Vec<ShareRow> = sqlx::query_as(
            "delete from hold_amounts where hold_id in (select value from json_each($1))
             returning hold_id, budget_id, start_ms, cast(amount as bigint) as amount",
        )
        .bind(&ids)
        .fetch_all(&mut self.connection)
        .await?;
        let open: Vec<String> = sqlx::query_scalar(
            "delete from holds where id in (select value from json_each($1)) returning id",
        )
        .bind(&ids)
        .fetch_all(&mut self.connection)
        .await?;
        let mut taken: HashMap<_, _> = open.into_iter().map(|id| (id, Vec::new())).collect();
        for row in shares {
            let window = WindowKey { budget_id: row.budget_id, start_ms: row.start_ms };
            taken.entry(row.hold_id).or_default().push(Share { window, amount: row.amount });
        }
        Ok(taken)
    }

    /// Records open holds with all their shares.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_holds(&mut self, holds: &[NewHold]) -> Result<(), StoreError> {
        if holds.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = holds
            .iter()
            .map(|new| {
                let OpenHold { id, node, draft, delivered_tokens } = &new.hold;
                (id, node, new.created_ms, draft, delivered_tokens)
            })
            .collect();
        sqlx::query(
            "insert into holds (id, node, created_ms, draft, delivered_tokens)
             select e.value ->> 0, e.value ->> 1, cast(e.value ->> 2 as bigint), e.value ->> 3,
                    cast(e.value ->> 4 as bigint)
             from jsonb_each($1) e",
        )
        .bind(json::text(rows)?)
        .execute(&mut self.connection)
        .await?;
        self.insert_shares(holds).await
    }

    async fn insert_shares(&mut self, holds: &[NewHold]) -> Result<(), StoreError> {
        let rows: Vec<_> = holds
            .iter()
            .flat_map(|new| new.shares.iter().map(move |share| (&new.hold.id, share)))
            .map(|(id, share)| (id, &share.window.budget_id, share.window.start_ms, share.amount))
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into hold_amounts (hold_id, budget_id, start_ms, amount)
             select e.value ->> 0, e.value ->> 1, cast(e.value ->> 2 as bigint),
                    cast(e.value ->> 3 as bigint)
             from jsonb_each($1) e",
        )
        .bind(json::text(rows)?)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Notes how many tokens the answers of open holds have delivered.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn note_delivered(&mut self, notes: &[(&str, i64)]) -> Result<(), StoreError> {
        if notes.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "update holds set delivered_tokens = n.delivered
             from (select e.value ->> 0 as hold_id, cast(e.value ->> 1 as bigint) as delivered
                   from jsonb_each($1) e) n
             where holds.id = n.hold_id",
        )
        .bind(json::text(notes)?)
        .execute(&mut self.connection)
        .await?;
        Ok(())
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
