//! Changes of organisations.

use super::Change;
use crate::store::{OrganisationRow, StoreError, engine::on};

impl Change {
    /// Adds an organisation.
    ///
    /// # Errors
    /// `Taken` when the name is; any database failure.
    pub async fn insert_organisation(&mut self, row: &OrganisationRow) -> Result<(), StoreError> {
        let text = "insert into organisations (id, name, time_zone, created_ms)
                    values ($1, $2, $3, $4)";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&row.id)
            .bind(&row.name)
            .bind(&row.time_zone)
            .bind(row.created_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// The living organisation of an id or a name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn organisation(
        &mut self,
        id_or_name: &str,
    ) -> Result<Option<OrganisationRow>, StoreError> {
        let text = "select id, name, time_zone, created_ms, deleted_ms
                    from organisations where (id = $1 or name = $1) and deleted_ms is null
                    order by case when id = $1 then 0 else 1 end limit 1";
        Ok(on!(&mut self.link, db => sqlx::query_as(text)
            .bind(id_or_name)
            .fetch_optional(&mut **db)
            .await)?)
    }

    /// How many living teams an organisation has.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn teams_in_organisation(&mut self, id: &str) -> Result<i64, StoreError> {
        let text = "select count(*) from teams where organisation_id = $1 and deleted_ms is null";
        Ok(on!(&mut self.link, db => sqlx::query_scalar(text)
            .bind(id)
            .fetch_one(&mut **db)
            .await)?)
    }

    /// Writes an organisation anew: name and time zone, which stand beside its budgets too.
    ///
    /// # Errors
    /// `Taken` when the name is; any database failure.
    pub async fn update_organisation(&mut self, row: &OrganisationRow) -> Result<(), StoreError> {
        let text = "update organisations set name = $2, time_zone = $3
                    where id = $1 and deleted_ms is null";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(&row.id)
            .bind(&row.name)
            .bind(&row.time_zone)
            .execute(&mut **db)
            .await
            .map(drop))?;
        self.rename_budgets(&row.id, (&row.name, &row.time_zone)).await
    }

    /// Deletes an organisation together with its budgets; its name is free again. Open holds still
    /// settle.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delete_organisation(&mut self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let text = "update organisations set deleted_ms = $2, name = name || '#' || id
                    where id = $1 and deleted_ms is null";
        on!(&mut self.link, db => {
            sqlx::query(text).bind(id).bind(now_ms).execute(&mut **db).await.map(drop)
        })?;
        self.delete_budgets_of(id, now_ms).await
    }
}
