//! What the budgets of an owner have in common, and those that new users get.

use super::Change;
use crate::{
    clock::Clock,
    ids::new_id,
    store::{BudgetRow, StoreError, UserRow, budgets::budget_columns, engine::on},
};

impl Change {
    /// Writes the name and the time zone of a team or an organisation beside its living budgets.
    ///
    /// # Errors
    /// Any database failure.
    pub(super) async fn rename_budgets(
        &mut self,
        owner_id: &str,
        (name, time_zone): (&str, &str),
    ) -> Result<(), StoreError> {
        let text = "update budgets set owner_name = $2, time_zone = $3
                    where owner_kind in ('team', 'organisation', 'default') and owner_id = $1
                      and deleted_ms is null";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(owner_id)
            .bind(name)
            .bind(time_zone)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Deletes the budgets of a team or an organisation.
    ///
    /// # Errors
    /// Any database failure.
    pub(super) async fn delete_budgets_of(
        &mut self,
        owner_id: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let text = "update budgets set deleted_ms = $2
                    where owner_kind in ('team', 'organisation', 'default') and owner_id = $1
                      and deleted_ms is null";
        on!(&mut self.link, db => sqlx::query(text)
            .bind(owner_id)
            .bind(now_ms)
            .execute(&mut **db)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Gives a user the default budgets: those of its team, then those of everybody. One that
    /// limits what a budget of the user limits already is left out. Returns what was given.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn copy_defaults(
        &mut self,
        user: &UserRow,
        clock: &dyn Clock,
    ) -> Result<Vec<BudgetRow>, StoreError> {
        let text = concat!(
            "select ",
            budget_columns!(""),
            " from budgets
                    where owner_kind = 'default' and owner_id in ('', $1) and deleted_ms is null
                    order by owner_id desc, id"
        );
        let team = user.team_id.as_deref().unwrap_or_default();
        let defaults: Vec<BudgetRow> = on!(&mut self.link, db => sqlx::query_as(text)
            .bind(team)
            .fetch_all(&mut **db)
            .await)?;
        let mut given = Vec::new();
        for default in defaults {
            let copy = BudgetRow {
                id: new_id(clock),
                owner_kind: "user".to_owned(),
                owner_id: user.id.clone(),
                owner_name: user.name.clone(),
                time_zone: user.time_zone.clone(),
                raise_amount: 0,
                raise_until_ms: 0,
                ..default
            };
            if self.budget_like(&copy).await?.is_none() {
                self.insert_budget(&copy, clock.now_ms()).await?;
                given.push(copy);
            }
        }
        Ok(given)
    }
}
