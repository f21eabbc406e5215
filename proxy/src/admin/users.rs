//! Users: made, changed, deleted.

use super::{
    AdminError, BudgetTerms, BudgetView, Mandate, Office, Start, Work,
    amounts::given,
    names::{check_name, check_permissions, check_zone, something},
};
use crate::{
    access::{Permissions, Role},
    ids::new_id,
    store::{StoreError, UserRow},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A user to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserOrder {
    /// A name that no other user has.
    pub name: String,
    /// What its keys may be for.
    #[serde(default = "member")]
    pub role: Role,
    /// IANA name; its budgets start again by its calendar.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// The team that it belongs to, by name or id.
    #[serde(default)]
    pub team: Option<String>,
    /// What its keys may at most.
    #[serde(default)]
    pub permissions: Permissions,
    /// Budgets that its keys share. It gets copies of the default budgets too, except of those that
    /// limit the same as one of these.
    #[serde(default)]
    pub budgets: Vec<BudgetTerms>,
}

/// What is changed of a user; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserPatch {
    /// A new name.
    pub name: Option<String>,
    /// What its keys may be for.
    pub role: Option<Role>,
    /// IANA name; its budgets follow at once, what is spent in the window that runs stays there.
    pub time_zone: Option<String>,
    /// What its keys may at most; takes the place of all that was said before.
    pub permissions: Option<Permissions>,
    /// Another team, by name or id; `null`: none.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub team: Option<Option<String>>,
    /// Give it the default budgets that a new user of its team would get now.
    pub apply_defaults: bool,
}

/// A user as operators see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserView {
    /// ULID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What its keys may be for.
    pub role: String,
    /// IANA name.
    pub time_zone: String,
    /// What its keys may at most.
    pub permissions: Value,
    /// Its team.
    pub team_id: Option<String>,
    /// When it was made.
    pub created_ms: i64,
    /// When it was deleted.
    pub deleted_ms: Option<i64>,
}

/// A user that was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewUser {
    /// The user.
    #[serde(flatten)]
    pub user: UserView,
    /// Its budgets.
    pub budgets: Vec<BudgetView>,
}

/// What was deleted or revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Its id.
    pub id: String,
    /// False when it was gone before.
    pub changed: bool,
}

fn member() -> Role {
    Role::Member
}

fn utc() -> String {
    "UTC".to_owned()
}

impl UserView {
    /// Of a row.
    pub fn of(row: &UserRow) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            role: row.role.clone(),
            time_zone: row.time_zone.clone(),
            permissions: json(&row.permissions),
            team_id: row.team_id.clone(),
            created_ms: row.created_ms,
            deleted_ms: row.deleted_ms,
        }
    }
}

/// A column of JSON; what cannot be read is shown as it is.
pub(super) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

impl Office {
    /// Makes a user together with its budgets.
    ///
    /// # Errors
    /// When a value makes no sense or the name is taken; any database failure.
    pub async fn create_user(
        &self,
        mandate: &Mandate,
        order: UserOrder,
    ) -> Result<NewUser, AdminError> {
        check_name(&order.name)?;
        check_zone(&order.time_zone)?;
        check_permissions(&order.permissions)?;
        let mut work = match self.begin(mandate, "user.create", &order).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let row = UserRow {
            id: new_id(self.clock()),
            name: order.name,
            role: order.role.as_str().to_owned(),
            time_zone: order.time_zone,
            permissions: serde_json::to_string(&order.permissions)?,
            team_id: team_id(&mut work, order.team.as_deref()).await?,
            created_ms: work.now_ms,
            deleted_ms: None,
        };
        work.change.insert_user(&row).await.map_err(|error| taken(error, &row.name))?;
        let mut budgets = self.add_budgets(&mut work, ("user", &row.id), &order.budgets).await?;
        let defaults = work.change.copy_defaults(&row, self.clock()).await?;
        budgets.extend(defaults.iter().map(BudgetView::of));
        let answer = NewUser { user: UserView::of(&row), budgets };
        let after = answer.clone();
        work.finish(format!("user:{}", row.id), None::<&()>, Some(&after), answer).await
    }

    /// A user by name or id; a deleted one by id.
    ///
    /// # Errors
    /// When there is none; any database failure.
    pub async fn user(&self, named: &str) -> Result<UserView, AdminError> {
        let found = self.store().user(named).await?;
        found.map(|row| UserView::of(&row)).ok_or_else(|| AdminError::unknown("user", named))
    }

    /// All living users by name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn users(&self) -> Result<Vec<UserView>, AdminError> {
        Ok(self.store().users().await?.iter().map(UserView::of).collect())
    }

    /// Changes a user. Its keys notice within a second.
    ///
    /// # Errors
    /// When a value makes no sense, the name is taken, there is no such user, or an administrator
    /// that has keys would become a member; any database failure.
    pub async fn update_user(
        &self,
        mandate: &Mandate,
        named: &str,
        patch: UserPatch,
    ) -> Result<UserView, AdminError> {
        something(&patch)?;
        patch.name.as_deref().map(check_name).transpose()?;
        patch.time_zone.as_deref().map(check_zone).transpose()?;
        patch.permissions.as_ref().map(check_permissions).transpose()?;
        let mut work = match self.begin(mandate, "user.update", &(named, &patch)).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let before = living_user(&mut work, named).await?;
        let mut row = before.clone();
        if let Some(role) = patch.role {
            demotable(&mut work, &before, role).await?;
            role.as_str().clone_into(&mut row.role);
        }
        row.name = patch.name.unwrap_or(row.name);
        row.time_zone = patch.time_zone.unwrap_or(row.time_zone);
        if let Some(team) = &patch.team {
            row.team_id = team_id(&mut work, team.as_deref()).await?;
        }
        if let Some(permissions) = &patch.permissions {
            row.permissions = serde_json::to_string(permissions)?;
        }
        let (before, after) = (UserView::of(&before), UserView::of(&row));
        if before == after && !patch.apply_defaults {
            return work.keep(after).await;
        }
        work.change.update_user(&row).await.map_err(|error| taken(error, &row.name))?;
        if patch.apply_defaults {
            for budget in work.change.copy_defaults(&row, self.clock()).await? {
                let (subject, view) = (format!("budget:{}", budget.id), BudgetView::of(&budget));
                work.record(subject, None::<&()>, Some(&view)).await?;
            }
        }
        let answer = after.clone();
        work.finish(format!("user:{}", row.id), Some(&before), Some(&after), answer).await
    }

    /// Deletes a user with its budgets and those of its keys: the keys stop working within a
    /// second, calls that run are settled, usage stays, the name is free again. Deleting it once
    /// more by its id changes nothing.
    ///
    /// # Errors
    /// When there is no such user; any database failure.
    pub async fn delete_user(&self, mandate: &Mandate, named: &str) -> Result<Gone, AdminError> {
        let mut work = match self.begin(mandate, "user.delete", &named).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let row = work.change.user(named).await?;
        let row = row.ok_or_else(|| AdminError::unknown("user", named))?;
        let answer = |changed| Gone { id: row.id.clone(), changed };
        if row.deleted_ms.is_some() {
            return work.keep(answer(false)).await;
        }
        work.change.delete_user(&row.id, work.now_ms).await?;
        let (subject, before) = (format!("user:{}", row.id), UserView::of(&row));
        work.finish(subject, Some(&before), None::<&()>, answer(true)).await
    }
}

/// The living user of a name or id.
pub(super) async fn living_user(work: &mut Work, named: &str) -> Result<UserRow, AdminError> {
    let row = work.change.user(named).await?.filter(|row| row.deleted_ms.is_none());
    row.ok_or_else(|| AdminError::unknown("user", named))
}

/// Id of the team that was named.
async fn team_id(work: &mut Work, named: Option<&str>) -> Result<Option<String>, AdminError> {
    let Some(named) = named else { return Ok(None) };
    let team = work.change.team(named).await?;
    Ok(Some(team.ok_or_else(|| AdminError::unknown("team", named))?.id))
}

/// A member's key calls models: no administrator's key may become one unseen.
async fn demotable(work: &mut Work, user: &UserRow, role: Role) -> Result<(), AdminError> {
    if role == Role::Admin {
        return Ok(());
    }
    let admin = Role::Admin.as_str();
    let keys = work.change.keys_in_force(&user.id, admin, work.now_ms).await?;
    if keys.is_empty() {
        return Ok(());
    }
    Err(AdminError::InTheWay(format!(
        "{} has administrators' keys, which would call models from now on; revoke them first: {}",
        user.name,
        keys.join(", ")
    )))
}

fn taken(error: StoreError, name: &str) -> AdminError {
    match error {
        StoreError::Taken => {
            AdminError::InTheWay(format!("there is a user called {name:?} already"))
        }
        error => error.into(),
    }
}
