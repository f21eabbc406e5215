//! Delegation: a key makes a narrower one that lives shorter, for an agent or a task of its own.

use crate::{BudgetStatus, Feature, SubBudget, lenient};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a delegated key shall be. It may nothing that the key above it may not, it never outlives
/// it, and what it spends is spent from the budgets above it too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DelegateRequest {
    /// Label for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long it works: 3600 unless given, at most 86400, and no longer than the key above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u32>,
    /// What it may.
    pub permissions: DelegatedPermissions,
    /// Its own budgets, one for each resource and window; none may have a larger cap than the
    /// budgets above it have left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<SubBudget>,
    /// Requests a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_minute: Option<u32>,
}

/// What a delegated key may. An absent list permits what the key above it may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DelegatedPermissions {
    /// Providers by name; a `*` at the end stands for any rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub providers: Option<Vec<String>>,
    /// Models as `provider/model`; a `*` at the end stands for any rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<Feature>>,
}

/// A delegated key.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DelegatedKey {
    /// Its id.
    pub id: String,
    /// Label for people.
    pub name: String,
    /// Its whole text: once, in the answer to the request that made it. A repetition of that
    /// request under the same idempotency key is answered without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How many keys stand above it.
    pub depth: u32,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it stops working, milliseconds since 1970 UTC.
    pub expires_ms: i64,
    /// What it may, within what the keys above it may.
    #[serde(deserialize_with = "lenient::permissions")]
    pub permissions: DelegatedPermissions,
    /// Requests a minute; absent: only the limits above it count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_minute: Option<u32>,
    /// Its own budgets.
    #[serde(deserialize_with = "lenient::readable")]
    pub budgets: Vec<BudgetStatus>,
}

/// Never shows the key itself.
impl fmt::Debug for DelegatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelegatedKey")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("depth", &self.depth)
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_need_be_asked_and_nothing_unknown_is_taken() {
        assert_eq!(
            serde_json::from_str::<DelegateRequest>("{}").unwrap(),
            DelegateRequest::default()
        );
        for wrong in [
            r#"{"expires_in_seconds":-1}"#,
            r#"{"expires_in_seconds":1.5}"#,
            r#"{"permissions":{"models":"local/*"}}"#,
            r#"{"permissions":{"model":[]}}"#,
            r#"{"permissions":{"features":["fly"]}}"#,
            r#"{"rate_per_minute":99999999999}"#,
            r#"{"budget":[]}"#,
            r#"{"budgets":["cost=5/fortnight"]}"#,
        ] {
            assert!(serde_json::from_str::<DelegateRequest>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_not_shown_by_accident() {
        let key = DelegatedKey { key: Some("tg_secret".to_owned()), ..DelegatedKey::default() };
        assert!(!format!("{key:?}").contains("secret"));
    }
}
