//! Changes of limits.

use super::Change;
use crate::store::{LimitRow, StoreError, engine::on};

impl Change {
    /// Adds a limit.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_limit(&mut self, limit: &LimitRow) -> Result<(), StoreError> {
        let text = "insert into limits (id, owner_kind, owner_id, requests_per_minute,
                        tokens_per_minute, concurrent, queue_ms, created_ms)
                    values ($1, $2, $3, $4, $5, $6, $7, $8)";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&limit.id)
            .bind(&limit.owner_kind)
            .bind(&limit.owner_id)
            .bind(limit.requests_per_minute)
            .bind(limit.tokens_per_minute)
            .bind(limit.concurrent)
            .bind(limit.queue_ms)
            .bind(limit.created_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// A living limit.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn limit(&mut self, id: &str) -> Result<Option<LimitRow>, StoreError> {
        let text = "select id, owner_kind, owner_id,
                        coalesce((select name from users where id = l.owner_id),
                            (select u.name from users u join api_keys k on k.user_id = u.id
                             where k.id = l.owner_id),
                            (select name from teams where id = l.owner_id),
                            (select name from organisations where id = l.owner_id),
                            l.owner_id) as owner_name,
                        requests_per_minute, tokens_per_minute, concurrent, queue_ms, created_ms
                    from limits l where id = $1 and deleted_ms is null";
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(id)
            .fetch_optional(&mut **db)
            .await)?)
    }

    /// Whether there was such a limit, and it was deleted.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn limit_was_deleted(&mut self, id: &str) -> Result<bool, StoreError> {
        let text = "select count(*) from limits where id = $1 and deleted_ms is not null";
        let found: i64 = on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(id)
            .fetch_one(&mut **db)
            .await)?;
        Ok(found > 0)
    }

    /// Writes what a limit allows anew; its owner stays.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn update_limit(&mut self, limit: &LimitRow) -> Result<(), StoreError> {
        let text = "update limits set requests_per_minute = $2, tokens_per_minute = $3,
                        concurrent = $4, queue_ms = $5
                    where id = $1 and deleted_ms is null";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&limit.id)
            .bind(limit.requests_per_minute)
            .bind(limit.tokens_per_minute)
            .bind(limit.concurrent)
            .bind(limit.queue_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Deletes a limit.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delete_limit(&mut self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let text = "update limits set deleted_ms = $2 where id = $1 and deleted_ms is null";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(id)
            .bind(now_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Id of the living owner of a kind (`user`, `team`, `organisation`), by name or id.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn limit_owner(
        &mut self,
        kind: &str,
        named: &str,
    ) -> Result<Option<String>, StoreError> {
        let text = "select id from (
                        select 'user' as kind, id, name, deleted_ms from users
                        union all
                        select 'team', id, name, deleted_ms from teams
                        union all
                        select 'organisation', id, name, deleted_ms from organisations) owners
                    where kind = $1 and (id = $2 or name = $2) and deleted_ms is null
                    order by case when id = $2 then 0 else 1 end limit 1";
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(kind)
            .bind(named)
            .fetch_optional(&mut **db)
            .await)?)
    }
}
