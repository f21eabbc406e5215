//! Keys as operators see them, and the one answer that has a key's text.

use crate::{
    access::ApiKey,
    admin::{AdminError, BudgetView, users::json},
    store::{KeyRow, UserRow},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
