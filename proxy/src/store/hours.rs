//! Hours of entries beside the sums that are kept of them: for whoever compares the two.

use super::{
    Books, EntryCursor, EntryRow, RollupKey, RollupRow, StoreError,
    engine::{Engine, on},
};
use sqlx::FromRow;
use std::collections::BTreeMap;

#[derive(FromRow)]
struct Line {
    #[sqlx(flatten)]
    key: RollupKey,
    #[sqlx(flatten)]
    row: RollupRow,
}

impl Books {
    /// Begins a transaction that sees the books as they stand now, whatever others write.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin_snapshot(&mut self) -> Result<(), StoreError> {
        self.reconnect().await?;
        let text = match &self.link {
            Engine::Sqlite(_) => "begin",
            Engine::Postgres(_) => "begin isolation level repeatable read read only",
        };
        on!(&mut self.link, db => sqlx::query(text).execute(&mut *db).await.map(drop))?;
        Ok(())
    }

    /// Nobody else changes sums until the transaction ends.
    ///
    /// # Errors
    /// `Busy` when others write for too long.
    pub async fn lock_rollups(&mut self) -> Result<(), StoreError> {
        let Engine::Postgres(db) = &mut self.link else { return Ok(()) };
        let text = "lock table usage_rollups in share row exclusive mode";
        sqlx::query(text).execute(&mut *db).await?;
        Ok(())
    }

    /// When the next entry began or the next hour with sums begins, from a moment on up to another.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn next_usage(
        &mut self,
        from_ms: i64,
        until_ms: i64,
    ) -> Result<Option<i64>, StoreError> {
        let text = "select min(n.at_ms) from (
                        select min(hour_ms) as at_ms from usage_rollups
                        where hour_ms >= $1 and hour_ms < $2
                        union all
                        select min(started_ms) from usage_entries
                        where started_ms >= $1 and started_ms < $2) n";
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(from_ms)
            .bind(until_ms)
            .fetch_one(&mut *db)
            .await)?)
    }

    /// Entries behind another one, the oldest first, that began before a moment; at most `limit`.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn entries_after(
        &mut self,
        after: &EntryCursor,
        until_ms: i64,
        limit: u32,
    ) -> Result<Vec<EntryRow>, StoreError> {
        let text = "select request_id, attempt, user_id, key_id, team_id, provider, model,
                           asked_model, dialect, features, streamed, disposition, finish, error,
                           estimated, clamped, input, cache_read, cache_write_5m, cache_write_1h,
                           audio_in, image_in, output, reasoning, audio_out, tool_fees,
                           cost_nano_usd, price, price_version, started_ms, first_token_ms,
                           latency_ms, upstream_request_id, tags
                    from usage_entries
                    where started_ms >= $1 and started_ms < $4
                      and (started_ms, request_id, attempt) > ($1, $2, $3)
                    order by started_ms, request_id, attempt limit $5";
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(after.started_ms)
            .bind(&after.request_id)
            .bind(after.attempt)
            .bind(until_ms)
            .bind(i64::from(limit))
            .fetch_all(&mut *db)
            .await)?)
    }

    /// The sums of an hour.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn rollups(
        &mut self,
        hour_ms: i64,
    ) -> Result<BTreeMap<RollupKey, RollupRow>, StoreError> {
        let text = "select hour_ms, tag, user_id, key_id, team_id, provider, model, features,
                           requests, failed, unpriced, estimated, input, cache_read,
                           cache_write_5m, cache_write_1h, audio_in, image_in, output, reasoning,
                           audio_out, cost_nano_usd, latency_ms, first_token_ms, first_tokens
                    from usage_rollups where hour_ms = $1";
        let lines: Vec<Line> = on!(&mut self.link, db => sqlx::query_as(text)
            .bind(hour_ms)
            .fetch_all(&mut *db)
            .await)?;
        Ok(lines.into_iter().map(|line| (line.key, line.row)).collect())
    }

    /// Deletes the sums of an hour.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn clear_rollups(&mut self, hour_ms: i64) -> Result<(), StoreError> {
        let text = "delete from usage_rollups where hour_ms = $1";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(hour_ms)
            .execute(&mut *db)
            .await
            .map(drop))?;
        Ok(())
    }
}
