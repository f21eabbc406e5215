//! Who asks, and what they may: credential to [`Caller`], caller to [`Permit`].
//!
//! A `Permit` cannot be made anywhere else: whoever holds one has been authorised for exactly the
//! targets in it. Nothing here knows HTTP or money.

mod caller;
mod hashing;
mod issue;
mod key;
mod limit;
mod permissions;
mod tokens;
mod verify;

pub use caller::{Caller, Role};
pub use issue::{IssueError, IssuedKey, KeyOrder, draw_secret, issue_key};
pub use key::{ApiKey, KeyParts};
pub use limit::{LONGEST_QUEUE, Limit, MOST_REQUESTS, MOST_TOKENS, Scope};
pub use permissions::{Pattern, Permissions, fits};
pub use tokens::{TokenError, TokenSetupError};
pub use verify::{Access, AuthError};

use std::sync::Arc;
use tollgate_types::Feature;

/// A model of a provider: what a request can be sent to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Name of the provider.
    pub provider: String,
    /// Model as the provider calls it.
    pub model: String,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

/// The permission that every call of a model needs.
const MEMBER: &str = "role:member";

/// What a permission's name leaves open.
fn reason(permission: &str) -> &'static str {
    if permission == MEMBER { " (administrators' keys cannot call models)" } else { "" }
}

/// The missing permission: `role:member`, `feature:stream`, `provider:openai`, `model:openai/gpt-4o`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this key does not have the permission {permission}{}", reason(permission))]
pub struct Denied {
    /// The permission's name.
    pub permission: String,
}

/// Proof that a caller may use features of a model on each of the targets.
#[derive(Clone, Debug)]
pub struct Permit {
    caller: Arc<Caller>,
    targets: Vec<Target>,
    features: Vec<Feature>,
}

impl Permit {
    /// Who was authorised.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// The limits that count the call.
    pub fn limits(&self) -> impl Iterator<Item = &Arc<Limit>> {
        self.caller.limits().iter().filter(|limit| limit.counts(&self.targets))
    }

    /// What the request may be sent to, in order of preference; never empty.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// What the request does with the model.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }
}

/// Authorises a caller for features of a model that can be served by any of the targets.
///
/// # Errors
/// The first permission that is missing. A target that is not permitted is left out as long as
/// another one is.
pub fn authorize(
    caller: &Arc<Caller>,
    targets: Vec<Target>,
    features: &[Feature],
) -> Result<Permit, Denied> {
    let denied = |permission: String| Denied { permission };
    if caller.role() == Role::Admin {
        return Err(denied(MEMBER.to_owned()));
    }
    if let Some(missing) = features.iter().find(|feature| !caller.allows_feature(**feature)) {
        return Err(denied(format!("feature:{missing}")));
    }
    let mut first_refusal = None;
    let mut permitted = Vec::new();
    for target in targets {
        match refusal(caller, &target) {
            None => permitted.push(target),
            Some(permission) => {
                first_refusal.get_or_insert(permission);
            }
        }
    }
    if permitted.is_empty() {
        return Err(denied(first_refusal.unwrap_or_else(|| "model".to_owned())));
    }
    let features = features.to_vec();
    Ok(Permit { caller: Arc::clone(caller), targets: permitted, features })
}

/// The permission that a target asks for and the caller lacks.
fn refusal(caller: &Caller, target: &Target) -> Option<String> {
    if !caller.allows_provider(&target.provider) {
        return Some(format!("provider:{}", target.provider));
    }
    (!caller.allows_model(target)).then(|| format!("model:{target}"))
}

#[cfg(test)]
mod tests;
