//! Open holds: which server has them, since when, and whether anybody will end them.

use super::report::{Check, Detail, moment, several};
use crate::{
    clock::Clock,
    store::{EntryRow, HoldRow, Share, Store, StoreError},
};
use serde::Serialize;
use serde_json::{Value, json};

/// More holds than this are not listed.
const MOST: i64 = 50_000;
/// A hold that is older belongs to a call that nobody waits for.
const OLD_MS: i64 = 3_600_000;

/// What is known of the server that placed a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Server {
    /// It runs, and ends the hold.
    Alive,
    /// It died: a sweep ends the hold.
    Dead,
}

/// A request whose money is set aside.
#[derive(Clone, Debug, Serialize)]
pub struct OpenCall {
    /// The hold's id.
    pub id: String,
    /// The request, as the caller knows it.
    pub request_id: String,
    /// Whose it is.
    pub user_id: String,
    /// With which key.
    pub key_id: String,
    /// `provider/model`.
    pub model: String,
    /// The server process that placed it.
    pub node: String,
    /// Where that runs, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Whether that lives.
    pub server: Server,
    /// When the others take that server for dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_expires_ms: Option<i64>,
    /// When it was placed.
    pub created_ms: i64,
    /// How long ago that is.
    pub age_ms: i64,
    /// Output tokens known to be delivered.
    pub delivered_tokens: i64,
    /// What it has set aside.
    pub amounts: Vec<Amount>,
}

/// What a hold has set aside in one window.
#[derive(Clone, Debug, Serialize)]
pub struct Amount {
    /// The budget.
    pub budget: String,
    /// Where the window begins.
    pub start_ms: i64,
    /// In the unit of the budget's resource.
    pub amount: i64,
}

/// Every open hold, the oldest first.
///
/// # Errors
/// Any database failure.
pub async fn open_calls(store: &Store, clock: &dyn Clock) -> Result<Vec<OpenCall>, StoreError> {
    let mut held = store.holds(MOST).await?;
    let mut keeper = match store.is_shared() {
        true => Keeper::Nodes { now_ms: store.now_ms().await? },
        false => Keeper::Server,
    };
    if !store.is_shared() && !held.is_empty() {
        // One server owns a SQLite file: holds are its own, or nobody's.
        match store.lock() {
            Err(StoreError::InUse { .. }) => {}
            claimed => {
                let _alone = claimed?;
                held = store.holds(MOST).await?;
                keeper = Keeper::Nobody;
            }
        }
    }
    let now_ms = clock.now_ms();
    Ok(held.into_iter().map(|call| open_call(call, keeper, now_ms)).collect())
}

/// Who ends holds.
#[derive(Clone, Copy)]
enum Keeper {
    /// The server that placed it, if it lives by the database's clock.
    Nodes { now_ms: i64 },
    /// The one server, which runs.
    Server,
    /// No server runs.
    Nobody,
}

fn open_call(call: HoldRow, keeper: Keeper, now_ms: i64) -> OpenCall {
    let shares = call.shares();
    let dead = match keeper {
        Keeper::Nodes { now_ms } => call.expires_ms.is_none_or(|expires_ms| expires_ms < now_ms),
        Keeper::Server => false,
        Keeper::Nobody => true,
    };
    let draft: EntryRow = serde_json::from_str(&call.draft).unwrap_or_default();
    let model = if draft.provider.is_empty() && draft.model.is_empty() {
        String::new()
    } else {
        format!("{}/{}", draft.provider, draft.model)
    };
    OpenCall {
        request_id: draft.request_id,
        user_id: draft.user_id,
        key_id: draft.key_id,
        model,
        server: if dead { Server::Dead } else { Server::Alive },
        server_expires_ms: call.expires_ms,
        age_ms: now_ms.saturating_sub(call.created_ms),
        amounts: shares.into_iter().map(amount).collect(),
        id: call.id,
        node: call.node,
        host: call.host,
        created_ms: call.created_ms,
        delivered_tokens: call.delivered_tokens,
    }
}

fn amount(Share { window, amount }: Share) -> Amount {
    Amount { budget: window.budget_id.as_ref().into(), start_ms: window.start_ms, amount }
}

impl OpenCall {
    /// Whether nobody is left who ends it.
    pub fn is_orphan(&self) -> bool {
        self.server == Server::Dead
    }

    fn detail(&self) -> Detail {
        let Self { id, request_id, user_id, key_id, model, host, .. } = self;
        let place = host.as_deref().unwrap_or("this machine");
        let since = moment(self.created_ms);
        let text = format!(
            "hold {id}: request {request_id} of user {user_id}, key {key_id}, {model}, since {since}, server on {place}"
        );
        Detail::new(text, serde_json::to_value(self).unwrap_or(Value::Null))
    }
}

/// Holds that nobody will end, and holds that are suspiciously old.
pub(super) fn check(calls: &[OpenCall]) -> [Check; 2] {
    [orphans(calls), old(calls)]
}

fn orphans(calls: &[OpenCall]) -> Check {
    let orphans: Vec<_> = calls.iter().filter(|call| call.is_orphan()).collect();
    if orphans.is_empty() {
        let open = several(calls.len(), "open hold");
        return Check::ok("orphans", format!("{open}, none of a server that died"));
    }
    let found = format!("{} of servers that died", several(orphans.len(), "hold"));
    Check::broken("orphans", found)
        .advise(
            "the next start of a server settles them, a running one within its lease; or run `tollgate doctor --repair`",
        )
        .listing(orphans.into_iter().map(OpenCall::detail))
}

fn old(calls: &[OpenCall]) -> Check {
    let old: Vec<_> = calls.iter().filter(|call| call.age_ms > OLD_MS).collect();
    if old.is_empty() {
        return Check::ok("old holds", "none is older than an hour");
    }
    let found = format!("{} older than an hour", several(old.len(), "hold"));
    Check::warning("old holds", found)
        .advise("look for these requests in the log of the server that has them")
        .listing(old.into_iter().map(OpenCall::detail))
}

/// What settling a hold changes: its id, what it was, what it is.
pub(super) fn settlement(call: &OpenCall) -> (String, Value, Value) {
    let before = json!({
        "state": "open", "request_id": call.request_id, "node": call.node,
        "held": call.amounts,
    });
    let after = json!({"state": "settled", "disposition": "unknown", "held": []});
    (call.id.clone(), before, after)
}
