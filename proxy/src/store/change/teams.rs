//! Changes of teams.

use super::Change;
use crate::store::{StoreError, TeamRow, engine::on};

impl Change {
    /// Adds a team.
    ///
    /// # Errors
    /// `Taken` when the name is; any database failure.
    pub async fn insert_team(&mut self, team: &TeamRow) -> Result<(), StoreError> {
        let text = "insert into teams (id, organisation_id, name, time_zone, created_ms)
                    values ($1, $2, $3, $4, $5)";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&team.id)
            .bind(&team.organisation_id)
            .bind(&team.name)
            .bind(&team.time_zone)
            .bind(team.created_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// The living team of an id or a name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn team(&mut self, id_or_name: &str) -> Result<Option<TeamRow>, StoreError> {
        let text = "select id, organisation_id, name, time_zone, created_ms, deleted_ms
                    from teams where (id = $1 or name = $1) and deleted_ms is null
                    order by case when id = $1 then 0 else 1 end limit 1";
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(id_or_name)
            .fetch_optional(&mut **db)
            .await)?)
    }

    /// How many living users a team has.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn users_in_team(&mut self, id: &str) -> Result<i64, StoreError> {
        let text = "select count(*) from users where team_id = $1 and deleted_ms is null";
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(id)
            .fetch_one(&mut **db)
            .await)?)
    }

    /// Writes a team anew: name, time zone and organisation. Name and zone stand beside its budgets
    /// too.
    ///
    /// # Errors
    /// `Taken` when the name is; any database failure.
    pub async fn update_team(&mut self, team: &TeamRow) -> Result<(), StoreError> {
        let text = "update teams set name = $2, time_zone = $3, organisation_id = $4
                    where id = $1 and deleted_ms is null";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&team.id)
            .bind(&team.name)
            .bind(&team.time_zone)
            .bind(&team.organisation_id)
            .execute(&mut **db)
            .await
            .map(drop))?;
        self.rename_budgets(&team.id, (&team.name, &team.time_zone)).await
    }

    /// Deletes a team together with its budgets and defaults; its name is free again. Open holds
    /// still settle.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delete_team(&mut self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let text = "update teams set deleted_ms = $2, name = name || '#' || id
                    where id = $1 and deleted_ms is null";
        on!(&mut self.link, db => {
            sqlx::query(text).bind(id).bind(now_ms).execute(&mut **db).await.map(drop)
        })?;
        self.delete_budgets_of(id, now_ms).await
    }
}
