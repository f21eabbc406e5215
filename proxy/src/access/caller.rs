//! Who asks, after the credential was verified.

use super::{Limit, Permissions, Target};
use crate::store::{Account, StoreError};
use std::{str::FromStr, sync::Arc};
use tollgate_types::Feature;

/// What kind of work a credential is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Caller {
    /// Reads an account whose key and user are in force.
    pub(super) fn of(account: &Account) -> Result<Self, StoreError> {
        let role = |text: &str| Role::from_str(text).map_err(StoreError::Row);
        let admin =
            role(&account.key.role)? == Role::Admin && role(&account.user.role)? == Role::Admin;
        let permissions = [&account.user.permissions, &account.key.permissions]
            .into_iter()
            .map(|json| serde_json::from_str(json))
            .collect::<Result<_, _>>()?;
        let rate = account.key.rate_per_minute.and_then(|n| u32::try_from(n).ok());
        let rate = rate.map(|n| Arc::new(Limit::of_key_rate(&account.key.id, n)));
        Ok(Self {
            key_id: account.key.id.clone(),
            user_id: account.user.id.clone(),
            user_name: account.user.name.clone(),
            role: if admin { Role::Admin } else { Role::Member },
            permissions,
            limits: rate.into_iter().collect(),
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
