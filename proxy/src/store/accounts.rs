//! Users and API keys.

use super::{BudgetRow, LimitRow, Store, StoreError, books::Owner, engine::on};
use crate::clock::SystemClock;
use sqlx::FromRow;
use std::collections::HashMap;

/// A user.
#[derive(Clone, Debug, Default, FromRow)]
pub struct UserRow {
    /// ULID.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// `member` or `admin`.
    pub role: String,
    /// IANA name; budgets of the user follow its calendar.
    pub time_zone: String,
    /// JSON of the permissions.
    pub permissions: String,
    /// The team that the user belongs to.
    pub team_id: Option<String>,
    /// When it was made.
    pub created_ms: i64,
    /// When it was deleted.
    pub deleted_ms: Option<i64>,
}

/// An API key, without its secret.
#[derive(Clone, Debug, Default, FromRow)]
pub struct KeyRow {
    /// ULID.
    pub id: String,
    /// Its owner.
    pub user_id: String,
    /// The key that delegated to this one.
    pub parent_id: Option<String>,
    /// How many keys stand above it.
    pub depth: i64,
    /// Label for people.
    pub name: String,
    /// `member` or `admin`.
    pub role: String,
    /// Argon2 hash of the secret, PHC text.
    pub secret_hash: String,
    /// JSON of the permissions.
    pub permissions: String,
    /// Requests a minute; absent: no limit.
    pub rate_per_minute: Option<i64>,
    /// What happens when a budget cannot pay for the whole answer: `clamp` or `refuse`.
    pub overrun: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it stops working.
    pub expires_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
    /// Argon2 hash of the secret before the last one, which may still be used for a time.
    pub old_hash: Option<String>,
    /// Until when it may.
    pub old_until_ms: Option<i64>,
}

/// A key together with everyone above it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The key.
    pub key: KeyRow,
    /// The keys that it was delegated from, the nearest first.
    pub ancestors: Vec<KeyRow>,
    /// Its owner.
    pub user: UserRow,
    /// The organisation of the user's team.
    pub organisation_id: Option<String>,
    /// Limits of all of them, and of models.
    pub limits: Vec<LimitRow>,
}

impl Account {
    /// Everyone who pays for a call, from the organisation down to the key.
    pub fn owners(&self) -> Vec<Owner> {
        let mut owners = Vec::with_capacity(4);
        let mut add = |kind, id: &str| owners.push(Owner { kind, id: id.to_owned() });
        if let Some(id) = &self.organisation_id {
            add("organisation", id);
        }
        if let Some(id) = &self.user.team_id {
            add("team", id);
        }
        add("user", &self.user.id);
        self.ancestors.iter().rev().for_each(|key| add("key", &key.id));
        add("key", &self.key.id);
        owners
    }
}

#[derive(FromRow)]
struct Organised {
    #[sqlx(flatten)]
    user: UserRow,
    organisation_id: Option<String>,
}

impl Store {
    /// Adds a user together with its budgets and copies of the default ones, or nothing.
    ///
    /// # Errors
    /// `Taken` when the name is; any database failure.
    pub async fn insert_user(
        &self,
        user: &UserRow,
        budgets: &[BudgetRow],
    ) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        change.insert_user(user).await?;
        for budget in budgets {
            change.insert_budget(budget, user.created_ms).await?;
        }
        change.copy_defaults(user, &SystemClock).await?;
        change.commit().await
    }

    /// The living user of a name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn user_named(&self, name: &str) -> Result<Option<UserRow>, StoreError> {
        let text = "select id, name, role, time_zone, permissions, team_id, created_ms, deleted_ms
                    from users where name = $1 and deleted_ms is null";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(name).fetch_optional(db).await)?)
    }

    /// A user by id, living or deleted, or a living one by name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn user(&self, id_or_name: &str) -> Result<Option<UserRow>, StoreError> {
        let text = "select id, name, role, time_zone, permissions, team_id, created_ms, deleted_ms
                    from users where id = $1 or (name = $1 and deleted_ms is null)
                    order by case when id = $1 then 0 else 1 end limit 1";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(id_or_name).fetch_optional(db).await)?)
    }

    /// All living users by name.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        let text = "select id, name, role, time_zone, permissions, team_id, created_ms, deleted_ms
                    from users where deleted_ms is null order by name";
        Ok(on!(&self.pool, db => sqlx::query_as(text).fetch_all(db).await)?)
    }

    /// Deletes a user: its keys stop working, its usage stays, its name is free again.
    /// Returns false when there is no such user.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn delete_user(&self, name: &str, now_ms: i64) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let Some(user) = change.user(name).await?.filter(|user| user.deleted_ms.is_none()) else {
            return Ok(false);
        };
        change.delete_user(&user.id, now_ms).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Adds a key together with its budgets, or neither.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn insert_key(&self, key: &KeyRow, budgets: &[BudgetRow]) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        change.insert_key(key).await?;
        for budget in budgets {
            change.insert_budget(budget, key.created_ms).await?;
        }
        change.commit().await
    }

    /// A key with everyone above it, whatever their state.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn account(&self, key_id: &str) -> Result<Option<Account>, StoreError> {
        let mut keys = self.lineage(key_id).await?.into_iter();
        let Some(key) = keys.next() else { return Ok(None) };
        let text = "select u.id, u.name, u.role, u.time_zone, u.permissions, u.team_id,
                           u.created_ms, u.deleted_ms, t.organisation_id
                    from users u left join teams t on t.id = u.team_id where u.id = $1";
        let Organised { user, organisation_id } = on!(&self.pool, db => sqlx::query_as(text)
            .bind(&key.user_id)
            .fetch_one(db)
            .await)?;
        let (ancestors, limits) = (keys.collect(), Vec::new());
        let mut account = Account { key, ancestors, user, organisation_id, limits };
        account.limits = self.limits_of(&account.owners()).await?;
        Ok(Some(account))
    }

    /// A key and those that it was delegated from, the nearest first.
    async fn lineage(&self, key_id: &str) -> Result<Vec<KeyRow>, StoreError> {
        let text = "with recursive line (id, level) as (
                        select cast($1 as text), cast(0 as bigint)
                        union all
                        select k.parent_id, l.level + 1 from api_keys k join line l on k.id = l.id
                        where k.parent_id is not null and l.level < 16)
                    select k.id, k.user_id, k.parent_id, k.depth, k.name, k.role, k.secret_hash,
                           k.permissions, k.rate_per_minute, k.overrun, k.created_ms,
                           k.expires_ms, k.revoked_ms, k.old_hash, k.old_until_ms
                    from line l join api_keys k on k.id = l.id order by l.level";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(key_id).fetch_all(db).await)?)
    }

    /// All keys, or those of one user, the newest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn keys(&self, user_id: Option<&str>) -> Result<Vec<KeyRow>, StoreError> {
        let text = "select id, user_id, parent_id, depth, name, role, secret_hash, permissions,
                           rate_per_minute, overrun, created_ms, expires_ms, revoked_ms,
                           old_hash, old_until_ms
                    from api_keys where $1 is null or user_id = $1
                    order by created_ms desc, id desc";
        Ok(on!(&self.pool, db => sqlx::query_as(text).bind(user_id).fetch_all(db).await)?)
    }

    /// All keys with their users, or those of one user, the newest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn keys_with_users(
        &self,
        user_id: Option<&str>,
    ) -> Result<Vec<(KeyRow, UserRow)>, StoreError> {
        let text = "select id, name, role, time_zone, permissions, team_id, created_ms, deleted_ms
                    from users where cast($1 as text) is null or id = $1";
        let users: Vec<UserRow> =
            on!(&self.pool, db => sqlx::query_as(text).bind(user_id).fetch_all(db).await)?;
        let users: HashMap<_, _> = users.into_iter().map(|user| (user.id.clone(), user)).collect();
        let keys = self.keys(user_id).await?.into_iter();
        Ok(keys
            .filter_map(|key| Some((users.get(&key.user_id)?.clone(), key)))
            .map(|(user, key)| (key, user))
            .collect())
    }

    /// The keys that a key delegated to and that are neither revoked nor expired, the newest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn children_in_force(
        &self,
        key_id: &str,
        now_ms: i64,
    ) -> Result<Vec<KeyRow>, StoreError> {
        let text = "select id, user_id, parent_id, depth, name, role, secret_hash, permissions,
                           rate_per_minute, overrun, created_ms, expires_ms, revoked_ms,
                           old_hash, old_until_ms
                    from api_keys
                    where parent_id = $1 and revoked_ms is null
                      and (expires_ms is null or expires_ms > $2)
                    order by created_ms desc, id desc";
        Ok(on!(&self.pool, db => sqlx::query_as(text)
            .bind(key_id)
            .bind(now_ms)
            .fetch_all(db)
            .await)?)
    }

    /// Revokes a key. Returns false when there is no such key or it was revoked before.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn revoke_key(&self, key_id: &str, now_ms: i64) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let revoked = change.revoke_key(key_id, now_ms).await?;
        change.commit().await?;
        Ok(revoked)
    }
}
