//! Organisations: the teams that pay together.

use super::{
    AdminError, Mandate, Office, Start,
    names::{check_name, check_zone, something, taken},
};
use crate::{
    ids::new_id,
    store::{ListedOrganisation, OrganisationRow},
};
use serde::{Deserialize, Serialize};

/// What a new organisation shall be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganisationOrder {
    /// A name that no other organisation has.
    pub name: String,
    /// IANA name; its budgets start again by its calendar.
    #[serde(default = "super::teams::utc")]
    pub time_zone: String,
}

/// What changes of an organisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrganisationPatch {
    /// A new name.
    pub name: Option<String>,
    /// Another time zone: the windows of its budgets begin by that calendar from now on.
    pub time_zone: Option<String>,
}

impl Office {
    /// Adds an organisation.
    ///
    /// # Errors
    /// When the order makes no sense, the name is taken, or the database fails.
    pub async fn create_organisation(
        &self,
        mandate: &Mandate,
        order: &OrganisationOrder,
    ) -> Result<OrganisationRow, AdminError> {
        check_name(&order.name)?;
        check_zone(&order.time_zone)?;
        let mut work = match self.begin(mandate, "organisation.create", order).await? {
            Start::Again(answer) => return Ok(answer),
            Start::First(work) => work,
        };
        let row = OrganisationRow {
            id: new_id(self.clock()),
            name: order.name.clone(),
            time_zone: order.time_zone.clone(),
            created_ms: work.now_ms,
            deleted_ms: None,
        };
        let inserted = work.change.insert_organisation(&row).await;
        inserted.map_err(taken("organisation", &row.name))?;
        work.finish(subject(&row), None::<&()>, Some(&row.clone()), row).await
    }

    /// All living organisations by name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn organisations(&self) -> Result<Vec<ListedOrganisation>, AdminError> {
        Ok(self.store().organisations().await?)
    }

    /// A living organisation, by id or name.
    ///
    /// # Errors
    /// When there is none; any database failure.
    pub async fn organisation(&self, named: &str) -> Result<ListedOrganisation, AdminError> {
        let mut rows = self.store().organisations().await?.into_iter();
        let found = rows.find(|row| row.organisation.id == named || row.organisation.name == named);
        found.ok_or_else(|| AdminError::unknown("organisation", named))
    }

    /// Changes an organisation, named by id or name.
    ///
    /// # Errors
    /// When there is none, the order makes no sense, the name is taken, or the database fails.
    pub async fn update_organisation(
        &self,
        mandate: &Mandate,
        organisation: &str,
        order: &OrganisationPatch,
    ) -> Result<OrganisationRow, AdminError> {
        something(order)?;
        order.name.as_deref().map_or(Ok(()), check_name)?;
        order.time_zone.as_deref().map_or(Ok(()), check_zone)?;
        let asked = &(organisation, order);
        let mut work = match self.begin(mandate, "organisation.update", asked).await? {
            Start::Again(answer) => return Ok(answer),
            Start::First(work) => work,
        };
        let found = work.change.organisation(organisation).await?;
        let before = found.ok_or_else(|| AdminError::unknown("organisation", organisation))?;
        let OrganisationPatch { name, time_zone } = order.clone();
        let after = OrganisationRow {
            name: name.unwrap_or_else(|| before.name.clone()),
            time_zone: time_zone.unwrap_or_else(|| before.time_zone.clone()),
            ..before.clone()
        };
        let updated = work.change.update_organisation(&after).await;
        updated.map_err(taken("organisation", &after.name))?;
        work.finish(subject(&after), Some(&before), Some(&after.clone()), after).await
    }

    /// Deletes an organisation that has no teams, together with its budgets.
    ///
    /// # Errors
    /// When there is none, it has teams, or the database fails.
    pub async fn delete_organisation(
        &self,
        mandate: &Mandate,
        organisation: &str,
    ) -> Result<OrganisationRow, AdminError> {
        let mut work = match self.begin(mandate, "organisation.delete", &organisation).await? {
            Start::Again(answer) => return Ok(answer),
            Start::First(work) => work,
        };
        let found = work.change.organisation(organisation).await?;
        let row = found.ok_or_else(|| AdminError::unknown("organisation", organisation))?;
        let teams = work.change.teams_in_organisation(&row.id).await?;
        if teams > 0 {
            return Err(AdminError::InTheWay(format!(
                "the organisation {:?} has teams ({teams}): delete them or move them first",
                row.name
            )));
        }
        work.change.delete_organisation(&row.id, work.now_ms).await?;
        work.finish(subject(&row), Some(&row.clone()), None::<&()>, row).await
    }
}

fn subject(row: &OrganisationRow) -> String {
    format!("organisation:{}", row.id)
}
