//! Changes of users.

use super::Change;
use crate::store::{StoreError, UserRow, engine::on};

impl Change {
    /// Adds a user.
    ///
    /// # Errors
    /// `Taken` when the name is; any database failure.
    pub async fn insert_user(&mut self, user: &UserRow) -> Result<(), StoreError> {
        let text = "insert into users (id, name, role, time_zone, permissions, team_id, created_ms)
                    values ($1, $2, $3, $4, $5, $6, $7)";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&user.id)
            .bind(&user.name)
            .bind(&user.role)
            .bind(&user.time_zone)
            .bind(&user.permissions)
            .bind(&user.team_id)
            .bind(user.created_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// A user by id, living or deleted, or a living one by name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn user(&mut self, id_or_name: &str) -> Result<Option<UserRow>, StoreError> {
        let text = "select id, name, role, time_zone, permissions, team_id, created_ms, deleted_ms
                    from users where id = $1 or (name = $1 and deleted_ms is null)
                    order by case when id = $1 then 0 else 1 end limit 1";
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(id_or_name)
            .fetch_optional(&mut **db)
            .await)?)
    }

    /// Writes a user anew: name, role, time zone, permissions and team. Name and zone stand beside
    /// its budgets and those of its keys too.
    ///
    /// # Errors
    /// `Taken` when the name is; any database failure.
    pub async fn update_user(&mut self, user: &UserRow) -> Result<(), StoreError> {
        let text = "update users set name = $2, role = $3, time_zone = $4, permissions = $5,
                        team_id = $6
                    where id = $1 and deleted_ms is null";
        let budgets = "update budgets set owner_name = $2, time_zone = $3
                       where deleted_ms is null
                         and ((owner_kind = 'user' and owner_id = $1)
                              or (owner_kind = 'key' and owner_id in
                                  (select id from api_keys where user_id = $1)))";
        on!(&mut self.link, db => {
            sqlx::query(text)
                .bind(&user.id)
                .bind(&user.name)
                .bind(&user.role)
                .bind(&user.time_zone)
                .bind(&user.permissions)
                .bind(&user.team_id)
                .execute(&mut **db)
                .await?;
            sqlx::query(budgets)
                .bind(&user.id)
                .bind(&user.name)
                .bind(&user.time_zone)
                .execute(&mut **db)
                .await
                .map(drop)
        })?;
        Ok(())
    }

    /// Deletes a user together with its budgets and those of its keys: its keys stop working, its
    /// usage stays, its name is free again. Open holds still settle.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delete_user(&mut self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let text = "update users set deleted_ms = $2, name = name || '#' || id
                    where id = $1 and deleted_ms is null";
        let budgets = "update budgets set deleted_ms = $2
                       where deleted_ms is null
                         and ((owner_kind = 'user' and owner_id = $1)
                              or (owner_kind = 'key' and owner_id in
                                  (select id from api_keys where user_id = $1)))";
        on!(&mut self.link, db => {
            sqlx::query(text).bind(id).bind(now_ms).execute(&mut **db).await?;
            sqlx::query(budgets).bind(id).bind(now_ms).execute(&mut **db).await.map(drop)
        })?;
        Ok(())
    }
}
