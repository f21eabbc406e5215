//! Organisations and the teams in them, as lists show them.

use super::{Store, StoreError, engine::on};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

/// An organisation: teams that pay together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromRow)]
pub struct OrganisationRow {
    /// ULID.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// IANA name; the organisation's budgets follow its calendar.
    pub time_zone: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it was deleted.
    pub deleted_ms: Option<i64>,
}

/// A team: users who pay together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromRow)]
pub struct TeamRow {
    /// ULID.
    pub id: String,
    /// The organisation that it belongs to.
    pub organisation_id: Option<String>,
    /// Unique name.
    pub name: String,
    /// IANA name; the team's budgets follow its calendar.
    pub time_zone: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it was deleted.
    pub deleted_ms: Option<i64>,
}

/// An organisation and how many teams it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct ListedOrganisation {
    /// The organisation.
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub organisation: OrganisationRow,
    /// Its living teams.
    pub teams: i64,
}

/// A team, the name of its organisation, and how many users it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct ListedTeam {
    /// The team.
    #[sqlx(flatten)]
    #[serde(flatten)]
    pub team: TeamRow,
    /// Name of its organisation.
    pub organisation: Option<String>,
    /// Its living users.
    pub users: i64,
}

impl Store {
    /// All living organisations by name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn organisations(&self) -> Result<Vec<ListedOrganisation>, StoreError> {
        let text = "select o.id, o.name, o.time_zone, o.created_ms, o.deleted_ms,
                           (select count(*) from teams t
                            where t.organisation_id = o.id and t.deleted_ms is null) as teams
                    from organisations o where o.deleted_ms is null order by o.name";
        Ok(on!(&self.pool, db => sqlx::query_as(text).fetch_all(db).await)?)
    }

    /// All living teams by name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn teams(&self) -> Result<Vec<ListedTeam>, StoreError> {
        let text = "select t.id, t.organisation_id, t.name, t.time_zone, t.created_ms,
                           t.deleted_ms, o.name as organisation,
                           (select count(*) from users u
                            where u.team_id = t.id and u.deleted_ms is null) as users
                    from teams t left join organisations o on o.id = t.organisation_id
                    where t.deleted_ms is null order by t.name";
        Ok(on!(&self.pool, db => sqlx::query_as(text).fetch_all(db).await)?)
    }
}
