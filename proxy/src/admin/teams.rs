//! Teams: the users who pay together.

use super::{
    AdminError, Mandate, Office, Start, Work,
    amounts::given,
    names::{check_name, check_zone, something, taken},
};
use crate::{
    ids::new_id,
    store::{ListedTeam, TeamRow},
};
use serde::{Deserialize, Serialize};

/// What a new team shall be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamOrder {
    /// A name that no other team has.
    pub name: String,
    /// The organisation that it belongs to, by id or name.
    #[serde(default)]
    pub organisation: Option<String>,
    /// IANA name; its budgets start again by its calendar.
    #[serde(default = "utc")]
    pub time_zone: String,
}

pub(super) fn utc() -> String {
    "UTC".to_owned()
}

/// What changes of a team.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeamPatch {
    /// A new name.
    pub name: Option<String>,
    /// Another time zone: the windows of its budgets begin by that calendar from now on.
    pub time_zone: Option<String>,
    /// Another organisation, by id or name; `null` for none.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Option<String>>,
}

impl Office {
    /// Adds a team.
    ///
    /// # Errors
    /// When the order makes no sense, the name is taken, or the database fails.
    pub async fn create_team(
        &self,
        mandate: &Mandate,
        order: &TeamOrder,
    ) -> Result<TeamRow, AdminError> {
        check_name(&order.name)?;
        check_zone(&order.time_zone)?;
        let mut work = match self.begin(mandate, "team.create", order).await? {
            Start::Again(answer) => return Ok(answer),
            Start::First(work) => work,
        };
        let row = TeamRow {
            id: new_id(self.clock()),
            organisation_id: organisation(&mut work, order.organisation.as_deref()).await?,
            name: order.name.clone(),
            time_zone: order.time_zone.clone(),
            created_ms: work.now_ms,
            deleted_ms: None,
        };
        work.change.insert_team(&row).await.map_err(taken("team", &row.name))?;
        work.finish(subject(&row), None::<&()>, Some(&row.clone()), row).await
    }

    /// All living teams by name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn teams(&self) -> Result<Vec<ListedTeam>, AdminError> {
        Ok(self.store().teams().await?)
    }

    /// A living team, by id or name.
    ///
    /// # Errors
    /// When there is none; any database failure.
    pub async fn team(&self, named: &str) -> Result<ListedTeam, AdminError> {
        let mut teams = self.store().teams().await?.into_iter();
        let found = teams.find(|row| row.team.id == named || row.team.name == named);
        found.ok_or_else(|| AdminError::unknown("team", named))
    }

    /// Changes a team, named by id or name.
    ///
    /// # Errors
    /// When there is none, the order makes no sense, the name is taken, or the database fails.
    pub async fn update_team(
        &self,
        mandate: &Mandate,
        team: &str,
        order: &TeamPatch,
    ) -> Result<TeamRow, AdminError> {
        something(order)?;
        order.name.as_deref().map_or(Ok(()), check_name)?;
        order.time_zone.as_deref().map_or(Ok(()), check_zone)?;
        let mut work = match self.begin(mandate, "team.update", &(team, order)).await? {
            Start::Again(answer) => return Ok(answer),
            Start::First(work) => work,
        };
        let found = work.change.team(team).await?;
        let before = found.ok_or_else(|| AdminError::unknown("team", team))?;
        let TeamPatch { name, time_zone, organisation: into } = order.clone();
        let organisation_id = match into {
            Some(into) => organisation(&mut work, into.as_deref()).await?,
            None => before.organisation_id.clone(),
        };
        let after = TeamRow {
            organisation_id,
            name: name.unwrap_or_else(|| before.name.clone()),
            time_zone: time_zone.unwrap_or_else(|| before.time_zone.clone()),
            ..before.clone()
        };
        work.change.update_team(&after).await.map_err(taken("team", &after.name))?;
        work.finish(subject(&after), Some(&before), Some(&after.clone()), after).await
    }

    /// Deletes a team that has no users, together with its budgets and defaults.
    ///
    /// # Errors
    /// When there is none, it has users, or the database fails.
    pub async fn delete_team(&self, mandate: &Mandate, team: &str) -> Result<TeamRow, AdminError> {
        let mut work = match self.begin(mandate, "team.delete", &team).await? {
            Start::Again(answer) => return Ok(answer),
            Start::First(work) => work,
        };
        let found = work.change.team(team).await?;
        let row = found.ok_or_else(|| AdminError::unknown("team", team))?;
        let users = work.change.users_in_team(&row.id).await?;
        if users > 0 {
            return Err(AdminError::InTheWay(format!(
                "the team {:?} has users ({users}): delete them or move them first",
                row.name
            )));
        }
        work.change.delete_team(&row.id, work.now_ms).await?;
        work.finish(subject(&row), Some(&row.clone()), None::<&()>, row).await
    }
}

/// Id of the organisation that was named.
async fn organisation(work: &mut Work, name: Option<&str>) -> Result<Option<String>, AdminError> {
    let Some(name) = name else { return Ok(None) };
    let found = work.change.organisation(name).await?;
    let row = found.ok_or_else(|| AdminError::unknown("organisation", name))?;
    Ok(Some(row.id))
}

fn subject(row: &TeamRow) -> String {
    format!("team:{}", row.id)
}
