//! Making keys. The secret is shown once, to whoever ordered the key, and kept only as a hash.

use super::{ApiKey, Permissions, Role, hashing, key};
use crate::{
    clock::Clock,
    ids::new_id,
    store::{BudgetRow, KeyRow, Store, StoreError, UserRow},
};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What a new key shall be.
#[derive(Clone, Debug)]
pub struct KeyOrder {
    /// Label for people.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it may, within what its user may.
    pub permissions: Permissions,
    /// Requests a minute.
    pub rate_per_minute: Option<u32>,
    /// When it stops working.
    pub expires_ms: Option<i64>,
    /// Its own budgets; the owner's id is filled in.
    pub budgets: Vec<BudgetRow>,
}

/// A new key.
#[derive(Debug)]
pub struct IssuedKey {
    /// Its id: what lists and commands name it by.
    pub id: String,
    /// Its whole text, to be shown once.
    pub key: ApiKey,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system gave no random bits.
    #[error("no random bits for a secret: {0}")]
    Random(#[from] getrandom::Error),
    /// The secret could not be hashed.
    #[error("the secret could not be hashed: {0}")]
    Hash(String),
    /// Too many secrets are hashed at once.
    #[error("too many keys are being made, try again")]
    Busy,
}

/// Secrets hashed at once.
static HASHERS: Semaphore = Semaphore::const_new(2);
/// Longest wait for a turn.
const TURN: Duration = Duration::from_secs(2);

/// A new secret for a key: the key's whole text, to be shown once, and the hash to be kept.
///
/// # Errors
/// When there are no random bits.
pub async fn draw_secret(key_id: &str) -> Result<(ApiKey, String), IssueError> {
    let secret = key::new_secret()?;
    let whole = key::assemble(key_id, &secret);
    let turn = tokio::time::timeout(TURN, HASHERS.acquire()).await;
    let Ok(Ok(turn)) = turn else { return Err(IssueError::Busy) };
    // Hashing takes milliseconds and megabytes: not on the threads that serve.
    let hashed = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        hashing::hash_of(secret.expose().as_bytes())
    });
    let hash = hashed.await.map_err(|error| IssueError::Hash(error.to_string()))?;
    Ok((whole, hash.map_err(IssueError::Hash)?))
}

/// Makes a key for a user, on nobody's record: for tests and measurements.
///
/// # Errors
/// When the database fails or there are no random bits.
pub async fn issue_key(
    store: &Store,
    clock: &dyn Clock,
    user: &UserRow,
    order: KeyOrder,
) -> Result<IssuedKey, IssueError> {
    let id = new_id(clock);
    let (key, secret_hash) = draw_secret(&id).await?;
    let row = KeyRow {
        id: id.clone(),
        user_id: user.id.clone(),
        name: order.name,
        role: order.role.as_str().to_owned(),
        secret_hash,
        permissions: serde_json::to_string(&order.permissions).map_err(StoreError::from)?,
        rate_per_minute: order.rate_per_minute.map(i64::from),
        overrun: "clamp".to_owned(),
        created_ms: clock.now_ms(),
        expires_ms: order.expires_ms,
        ..KeyRow::default()
    };
    let mut budgets = order.budgets;
    budgets.iter_mut().for_each(|budget| budget.owner_id.clone_from(&row.id));
    store.insert_key(&row, &budgets).await?;
    Ok(IssuedKey { id, key })
}
