//! API keys: made, changed, rotated, revoked.

use super::{
    AdminError, BudgetTerms, BudgetView, Gone, Mandate, Office, Overrun, Start, Work,
    amounts::{given, moment_to_come},
    names::{check_label, check_permissions, something},
    users::{json, living_user},
};
use crate::{
    access::{ApiKey, Permissions, Role, draw_secret},
    ids::new_id,
    ledger::report::span_ms,
    store::{KeyRow, UserRow},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A secret goes on working at most this long after a rotation.
const MAX_OVERLAP_MS: i64 = 30 * 24 * 3_600_000;

/// A key to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Whose it is, by name or id.
    pub user: String,
    /// Label for people.
    #[serde(default)]
    pub name: String,
    /// What it is for.
    #[serde(default = "member")]
    pub role: Role,
    /// What it may, within what its user may.
    #[serde(default)]
    pub permissions: Permissions,
    /// Most requests a minute.
    #[serde(default)]
    pub rate_per_minute: Option<u32>,
    /// When it stops working: a span from now (`90d`) or RFC 3339.
    #[serde(default)]
    pub expires: Option<String>,
    /// What happens when a budget cannot pay for the whole answer.
    #[serde(default)]
    pub overrun: Overrun,
    /// Its own budgets.
    #[serde(default)]
    pub budgets: Vec<BudgetTerms>,
}

/// What is changed of a key; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyPatch {
    /// Label for people.
    pub name: Option<String>,
    /// What it may; takes the place of all that was said before.
    pub permissions: Option<Permissions>,
    /// Most requests a minute; `null`: no limit.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub rate_per_minute: Option<Option<u32>>,
    /// When it stops working: a span from now or RFC 3339; `null`: never.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Option<String>>,
    /// What happens when a budget cannot pay for the whole answer.
    pub overrun: Option<Overrun>,
}

/// How a key gets a new secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// How long the secret before goes on working (`10m`, at most `30d`); absent: not at all.
    pub overlap: Option<String>,
}

/// A key as operators see it: never its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyView {
    /// ULID.
    pub id: String,
    /// Label for people.
    pub name: String,
    /// Name of its user.
    pub user: String,
    /// Id of its user.
    pub user_id: String,
    /// The key that delegated to it.
    pub parent_id: Option<String>,
    /// What it is for.
    pub role: String,
    /// `in force`, `expired`, `revoked` or `user deleted`.
    pub state: String,
    /// What it may, within what its user may.
    pub permissions: Value,
    /// Most requests a minute.
    pub rate_per_minute: Option<i64>,
    /// `clamp` or `refuse`.
    pub overrun: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it stops working.
    pub expires_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
    /// Until when the secret before the last rotation works.
    pub old_secret_until_ms: Option<i64>,
}

/// A key that was made or has a new secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyMade {
    /// The key.
    #[serde(flatten)]
    pub view: KeyView,
    /// Its own budgets, where it was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetView>,
}

/// A key with its text, which is shown once.
#[derive(Debug)]
pub struct Issued {
    /// The key.
    pub made: KeyMade,
    /// Its text. Absent when the request is a repetition: then it was shown before, and is not
    /// kept anywhere.
    pub key: Option<ApiKey>,
}

impl Issued {
    /// What a repetition says instead of the key.
    pub const HINT: &str = "The key was shown when it was made and is kept nowhere: \
                            rotate it to get a new secret.";

    /// As JSON, with the text as `key`: `null` and a `hint` for a repetition.
    ///
    /// # Errors
    /// Never, but for what JSON cannot hold.
    pub fn shown(&self) -> Result<Value, AdminError> {
        let mut shown = serde_json::to_value(&self.made)?;
        if let Value::Object(fields) = &mut shown {
            let text = self.key.as_ref().map(|key| Value::String(key.expose().clone()));
            if text.is_none() {
                fields.insert("hint".to_owned(), Value::String(Self::HINT.to_owned()));
            }
            fields.insert("key".to_owned(), text.unwrap_or_default());
        }
        Ok(shown)
    }
}

fn member() -> Role {
    Role::Member
}

impl KeyView {
    /// Of a row and its user's.
    pub fn of(row: &KeyRow, user: &UserRow, now_ms: i64) -> Self {
        let over = |ms: Option<i64>| ms.is_some_and(|ms| ms <= now_ms);
        let state = match () {
            () if row.revoked_ms.is_some() => "revoked",
            () if user.deleted_ms.is_some() => "user deleted",
            () if over(row.expires_ms) => "expired",
            () => "in force",
        };
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            user: user.name.clone(),
            user_id: user.id.clone(),
            parent_id: row.parent_id.clone(),
            role: row.role.clone(),
            state: state.to_owned(),
            permissions: json(&row.permissions),
            rate_per_minute: row.rate_per_minute,
            overrun: row.overrun.clone(),
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            revoked_ms: row.revoked_ms,
            old_secret_until_ms: row.old_until_ms.filter(|ms| now_ms < *ms),
        }
    }
}

impl Office {
    /// Makes a key together with its budgets.
    ///
    /// # Errors
    /// When a value makes no sense, or the key would be for more than its user is; any database
    /// failure.
    pub async fn create_key(&self, mandate: &Mandate, order: NewKey) -> Result<Issued, AdminError> {
        check_label(&order.name)?;
        check_permissions(&order.permissions)?;
        check_rate(order.rate_per_minute)?;
        let id = new_id(self.clock());
        // Before the work begins: hashing takes as long as several changes.
        let (key, secret_hash) = draw_secret(&id).await?;
        let mut work = match self.begin(mandate, "key.create", &order).await? {
            Start::First(work) => work,
            Start::Again(made) => return Ok(Issued { made, key: None }),
        };
        let user = living_user(&mut work, &order.user).await?;
        may_have(&user, order.role)?;
        let expires = order.expires.as_deref();
        let expires = expires.map(|text| moment_to_come("expires", text, work.now_ms));
        let row = KeyRow {
            id,
            user_id: user.id.clone(),
            name: order.name,
            role: order.role.as_str().to_owned(),
            secret_hash,
            permissions: serde_json::to_string(&order.permissions)?,
            rate_per_minute: order.rate_per_minute.map(i64::from),
            overrun: order.overrun.as_str().to_owned(),
            created_ms: work.now_ms,
            expires_ms: expires.transpose()?,
            ..KeyRow::default()
        };
        work.change.insert_key(&row).await?;
        let budgets = self.add_budgets(&mut work, ("key", &row.id), &order.budgets).await?;
        let made = KeyMade { view: KeyView::of(&row, &user, work.now_ms), budgets };
        let after = made.clone();
        let made = work.finish(format!("key:{}", row.id), None::<&()>, Some(&after), made).await?;
        Ok(Issued { made, key: Some(key) })
    }

    /// A key, whatever its state.
    ///
    /// # Errors
    /// When there is none; any database failure.
    pub async fn key(&self, id: &str) -> Result<KeyView, AdminError> {
        let account = self.store().account(id).await?;
        let account = account.ok_or_else(|| AdminError::unknown("key", id))?;
        Ok(KeyView::of(&account.key, &account.user, self.clock().now_ms()))
    }

    /// All keys, or those of one user, the newest first.
    ///
    /// # Errors
    /// When there is no such user; any database failure.
    pub async fn keys(&self, user: Option<&str>) -> Result<Vec<KeyView>, AdminError> {
        let user = match user {
            Some(named) => Some(self.user(named).await?.id),
            None => None,
        };
        let rows = self.store().keys_with_users(user.as_deref()).await?;
        let now_ms = self.clock().now_ms();
        Ok(rows.iter().map(|(key, user)| KeyView::of(key, user, now_ms)).collect())
    }

    /// Changes a key. Every server notices within a second.
    ///
    /// # Errors
    /// When a value makes no sense, there is no such key, or it was revoked; any database failure.
    pub async fn update_key(
        &self,
        mandate: &Mandate,
        id: &str,
        patch: KeyPatch,
    ) -> Result<KeyView, AdminError> {
        something(&patch)?;
        patch.name.as_deref().map(check_label).transpose()?;
        patch.permissions.as_ref().map(check_permissions).transpose()?;
        check_rate(patch.rate_per_minute.flatten())?;
        let mut work = match self.begin(mandate, "key.update", &(id, &patch)).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let (before, user) = usable_key(&mut work, id).await?;
        let row = patched(before.clone(), patch, work.now_ms)?;
        let view = |row| KeyView::of(row, &user, work.now_ms);
        let (before, after) = (view(&before), view(&row));
        if before == after {
            return work.keep(after).await;
        }
        work.change.update_key(&row).await?;
        let answer = after.clone();
        work.finish(format!("key:{id}"), Some(&before), Some(&after), answer).await
    }

    /// Gives a key a new secret; its id, budgets and permissions stay.
    ///
    /// # Errors
    /// When the overlap makes no sense, there is no such key, or it was revoked; any database
    /// failure.
    pub async fn rotate_key(
        &self,
        mandate: &Mandate,
        id: &str,
        rotation: Rotation,
    ) -> Result<Issued, AdminError> {
        let overlap_ms = rotation.overlap.as_deref().map(overlap_ms).transpose()?;
        let (key, secret_hash) = draw_secret(id).await?;
        let mut work = match self.begin(mandate, "key.rotate", &(id, &rotation)).await? {
            Start::First(work) => work,
            Start::Again(made) => return Ok(Issued { made, key: None }),
        };
        let (old, user) = usable_key(&mut work, id).await?;
        let row = KeyRow {
            old_hash: overlap_ms.map(|_| old.secret_hash.clone()),
            old_until_ms: overlap_ms.map(|ms| work.now_ms.saturating_add(ms)),
            secret_hash,
            ..old.clone()
        };
        work.change.update_key(&row).await?;
        let view = |row| KeyView::of(row, &user, work.now_ms);
        let (before, after) = (view(&old), view(&row));
        let made = KeyMade { view: after.clone(), budgets: Vec::new() };
        let made = work.finish(format!("key:{id}"), Some(&before), Some(&after), made).await?;
        Ok(Issued { made, key: Some(key) })
    }

    /// Revokes a key: it stops working within a second, on every server. Revoking it once more
    /// changes nothing.
    ///
    /// # Errors
    /// When there is no such key; any database failure.
    pub async fn revoke_key(&self, mandate: &Mandate, id: &str) -> Result<Gone, AdminError> {
        let mut work = match self.begin(mandate, "key.revoke", &id).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let (row, user) = any_key(&mut work, id).await?;
        let answer = |changed| Gone { id: id.to_owned(), changed };
        if !work.change.revoke_key(id, work.now_ms).await? {
            return work.keep(answer(false)).await;
        }
        let revoked = KeyRow { revoked_ms: Some(work.now_ms), ..row.clone() };
        let view = |row| KeyView::of(row, &user, work.now_ms);
        let (before, after) = (view(&row), view(&revoked));
        work.finish(format!("key:{id}"), Some(&before), Some(&after), answer(true)).await
    }
}

/// A key and its user, whatever their state.
async fn any_key(work: &mut Work, id: &str) -> Result<(KeyRow, UserRow), AdminError> {
    let unknown = || AdminError::unknown("key", id);
    let key = work.change.key(id).await?.ok_or_else(unknown)?;
    let user = work.change.user(&key.user_id).await?.ok_or_else(unknown)?;
    Ok((key, user))
}

/// A key that is worth changing.
async fn usable_key(work: &mut Work, id: &str) -> Result<(KeyRow, UserRow), AdminError> {
    let (key, user) = any_key(work, id).await?;
    if key.revoked_ms.is_some() {
        return Err(AdminError::InTheWay(format!("the key {id} was revoked; make a new one")));
    }
    if user.deleted_ms.is_some() {
        return Err(AdminError::InTheWay(format!("the user of the key {id} was deleted")));
    }
    Ok((key, user))
}

fn patched(mut row: KeyRow, patch: KeyPatch, now_ms: i64) -> Result<KeyRow, AdminError> {
    row.name = patch.name.unwrap_or(row.name);
    if let Some(permissions) = &patch.permissions {
        row.permissions = serde_json::to_string(permissions)?;
    }
    if let Some(rate) = patch.rate_per_minute {
        row.rate_per_minute = rate.map(i64::from);
    }
    if let Some(expires) = &patch.expires {
        let moment = expires.as_deref().map(|text| moment_to_come("expires", text, now_ms));
        row.expires_ms = moment.transpose()?;
    }
    if let Some(overrun) = patch.overrun {
        overrun.as_str().clone_into(&mut row.overrun);
    }
    Ok(row)
}

fn may_have(user: &UserRow, role: Role) -> Result<(), AdminError> {
    if role == Role::Admin && user.role != Role::Admin.as_str() {
        let message = format!("{} is no administrator, and so its keys are none", user.name);
        return Err(AdminError::invalid("role", message));
    }
    Ok(())
}

fn check_rate(per_minute: Option<u32>) -> Result<(), AdminError> {
    match per_minute {
        Some(0) => {
            Err(AdminError::invalid("rate_per_minute", "a rate is at least 1 request a minute"))
        }
        _ => Ok(()),
    }
}

fn overlap_ms(text: &str) -> Result<i64, AdminError> {
    let span = span_ms(text).filter(|ms| (1..=MAX_OVERLAP_MS).contains(ms));
    span.ok_or_else(|| {
        let message = format!("{text:?} is no overlap, write it like 10m or 24h, at most 30d");
        AdminError::invalid("overlap", message)
    })
}
