//! Who asks, after the credential was verified.

use super::{
    Limit, Permissions, Target, limit,
    tokens::{Verified, mark_of},
};
use crate::store::{Account, Owner, StoreError};
use serde::{Deserialize, Serialize};
use std::{str::FromStr, sync::Arc};
use tollgate_types::Feature;

/// What kind of work a credential is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Calls models, sees its user's own usage and budgets.
    Member,
    /// Sees everything, calls no model.
    Admin,
}

impl Role {
    /// The one word for this in SQL, JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("{text:?} is not a role, use member or admin")),
        }
    }
}

/// A verified caller: a key and its user.
#[derive(Clone, Debug)]
pub struct Caller {
    key_id: String,
    user_id: String,
    user_name: String,
    role: Role,
    permissions: Vec<Permissions>,
    limits: Vec<Arc<Limit>>,
    team_id: Option<String>,
    owners: Vec<Owner>,
    refuses_overrun: bool,
    expires_ms: Option<i64>,
    mark: String,
    token_ends_ms: Option<i64>,
}

impl Caller {
    /// Reads an account whose key and user are in force, for whoever has the secret of this hash,
    /// or a token that was exchanged for it.
    pub(super) fn of(
        account: &Account,
        secret_hash: &str,
        token: Option<&Verified>,
    ) -> Result<Self, StoreError> {
        let role = |text: &str| Role::from_str(text).map_err(StoreError::Row);
        let admin =
            role(&account.key.role)? == Role::Admin && role(&account.user.role)? == Role::Admin;
        let keys = || account.ancestors.iter().chain([&account.key]);
        let permissions = [&account.user.permissions]
            .into_iter()
            .chain(keys().map(|key| &key.permissions))
            .map(|json| serde_json::from_str(json))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            key_id: account.key.id.clone(),
            user_id: account.user.id.clone(),
            user_name: account.user.name.clone(),
            role: if admin { Role::Admin } else { Role::Member },
            permissions,
            team_id: account.user.team_id.clone(),
            owners: account.owners(),
            refuses_overrun: keys().any(|key| key.overrun == "refuse"),
            limits: limit::of_account(account),
            expires_ms: keys().filter_map(|key| key.expires_ms).min(),
            mark: mark_of(secret_hash),
            token_ends_ms: token.map(Verified::ends_ms),
        })
    }

    #[cfg(test)]
    pub(crate) fn for_tests<const N: usize>(role: Role, permissions: [Permissions; N]) -> Self {
        Self {
            key_id: "key".to_owned(),
            user_id: "user".to_owned(),
            user_name: "alice".to_owned(),
            role,
            permissions: permissions.to_vec(),
            limits: Vec::new(),
            team_id: None,
            owners: vec![
                Owner { kind: "user", id: "user".to_owned() },
                Owner { kind: "key", id: "key".to_owned() },
            ],
            refuses_overrun: false,
            expires_ms: None,
            mark: String::new(),
            token_ends_ms: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_limits(self, limits: Vec<Limit>) -> Self {
        Self { limits: limits.into_iter().map(Arc::new).collect(), ..self }
    }

    /// Id of the key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Id of the user.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Name of the user.
    pub fn user_name(&self) -> &str {
        &self.user_name
    }

    /// What the key is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The limits of everybody whom its calls count for, narrowest first, and those of models.
    pub fn limits(&self) -> &[Arc<Limit>] {
        &self.limits
    }

    /// The user's team.
    pub fn team_id(&self) -> Option<&str> {
        self.team_id.as_deref()
    }

    /// Everyone who pays for the caller's calls, from the organisation down to the key.
    pub fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// Ids of the keys of its line, from the one that an operator made down to its own.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.owners.iter().filter(|owner| owner.kind == "key").map(|owner| owner.id.as_str())
    }

    /// Whether another key made this one, for an agent or a task.
    pub fn is_delegated(&self) -> bool {
        self.keys().nth(1).is_some()
    }

    /// Whether an answer that a budget cannot pay for in full is refused rather than shortened.
    pub fn refuses_overrun(&self) -> bool {
        self.refuses_overrun
    }

    /// When the key, or one above it, expires.
    pub fn expires_ms(&self) -> Option<i64> {
        self.expires_ms
    }

    /// When the token ends that the caller sent; absent: it sent a key.
    pub fn token_ends_ms(&self) -> Option<i64> {
        self.token_ends_ms
    }

    /// Which of the key's secrets the caller has.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    pub(super) fn allows_provider(&self, provider: &str) -> bool {
        self.permissions.iter().all(|p| p.allow_provider(provider))
    }

    pub(super) fn allows_model(&self, target: &Target) -> bool {
        self.permissions.iter().all(|p| p.allow_model(target))
    }

    pub(super) fn allows_feature(&self, feature: Feature) -> bool {
        self.permissions.iter().all(|p| p.allow_feature(feature))
    }

    /// Whether lists shown to the caller may name the model.
    pub fn may_see(&self, target: &Target) -> bool {
        self.role == Role::Admin
            || (self.allows_provider(&target.provider) && self.allows_model(target))
    }
}
