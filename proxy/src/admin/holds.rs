//! Open holds: which calls have money set aside, for how long, and in which budgets.

use super::{AdminError, Office};
use crate::store::{EntryRow, HoldRow};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Most holds of one answer.
const MAX_HOLDS: u32 = 1000;

/// Which holds are asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoldQuery {
    /// Most holds, the oldest first; 100 unless given, at most 1000.
    pub limit: Option<u32>,
}

/// A hold as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HoldView {
    /// ULID.
    pub id: String,
    /// Id of the request.
    pub request_id: String,
    /// The server that placed it.
    pub node: String,
    /// Where that runs, where servers share the database.
    pub host: Option<String>,
    /// When the other servers settle it, unless its own is heard of again.
    pub node_expires_ms: Option<i64>,
    /// When it was placed.
    pub created_ms: i64,
    /// How long ago.
    pub age_ms: i64,
    /// Name of the user.
    pub user: Option<String>,
    /// Id of the user.
    pub user_id: String,
    /// Id of the key.
    pub key_id: String,
    /// Model as the caller named it.
    pub asked_model: String,
    /// Provider that is asked.
    pub provider: String,
    /// Model that is asked, as the provider calls it.
    pub model: String,
    /// Output tokens known to be delivered.
    pub delivered_tokens: i64,
    /// What is set aside.
    pub amounts: Vec<HeldAmount>,
}

/// What a hold sets aside in one budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldAmount {
    /// Id of the budget.
    pub budget: String,
    /// Where its window begins.
    pub window_start_ms: i64,
    /// In the resource's unit.
    pub amount: i64,
}

impl Office {
    /// Open holds, the oldest first.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn holds(&self, query: HoldQuery) -> Result<Vec<HoldView>, AdminError> {
        let limit = query.limit.unwrap_or(100).min(MAX_HOLDS);
        let now_ms = self.clock().now_ms();
        let rows = self.store().holds(i64::from(limit)).await?;
        let mut holds: Vec<_> = rows.iter().map(|row| view(row, now_ms)).collect();
        let mut names = HashMap::<String, Option<String>>::new();
        for hold in &mut holds {
            if !names.contains_key(&hold.user_id) {
                let user = self.store().user(&hold.user_id).await?;
                names.insert(hold.user_id.clone(), user.map(|user| user.name));
            }
            hold.user = names.get(&hold.user_id).cloned().flatten();
        }
        Ok(holds)
    }
}

fn view(row: &HoldRow, now_ms: i64) -> HoldView {
    // A draft that cannot be read still is a hold.
    let draft: EntryRow = serde_json::from_str(&row.draft).unwrap_or_default();
    let amounts = row.shares().into_iter().map(|share| HeldAmount {
        budget: share.window.budget_id.as_ref().into(),
        window_start_ms: share.window.start_ms,
        amount: share.amount,
    });
    HoldView {
        id: row.id.clone(),
        request_id: draft.request_id,
        node: row.node.clone(),
        host: row.host.clone(),
        node_expires_ms: row.expires_ms,
        created_ms: row.created_ms,
        age_ms: now_ms.saturating_sub(row.created_ms).max(0),
        user: None,
        user_id: draft.user_id,
        key_id: draft.key_id,
        asked_model: draft.asked_model,
        provider: draft.provider,
        model: draft.model,
        delivered_tokens: row.delivered_tokens,
        amounts: amounts.collect(),
    }
}
