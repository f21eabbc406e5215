//! Credential to caller: argon2 once per key and process, a keyed hash afterwards.
//!
//! Hashing a password costs about 15 ms and 19 MiB, so it never stands on the path of a request
//! that was seen before, and strangers cannot make the server hash: a key that is not in the
//! database is refused without hashing, hashing is bounded, and a wrong secret is remembered.

use super::{Caller, KeyParts};
use crate::{
    clock::Clock,
    store::{Account, Store, StoreError, promptly},
};
use argon2::{
    Argon2,
    password_hash::{PasswordVerifier, phc::PasswordHash},
};
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Credentials remembered, good and bad together.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
/// Hashes computed at once.
const HASHERS: usize = 2;
/// How long an account is believed before the database is asked again.
const FRESH: Duration = Duration::from_millis(500);
/// While one call asks, the others of a busy key go on with what was known, up to this age: a
/// revocation takes effect within it on every server.
const BELIEVED: Duration = Duration::from_millis(900);
/// How long one call may ask before another one does too.
const ASKING: Duration = Duration::from_millis(300);

/// Why a credential is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// None was sent.
    #[error("no API key was sent; send it as `Authorization: Bearer tg_...`")]
    Missing,
    /// It is not a key of this server.
    #[error("the API key is not valid")]
    Invalid,
    /// It was revoked.
    #[error("the API key was revoked")]
    Revoked,
    /// It has expired.
    #[error("the API key has expired")]
    Expired,
    /// Its user was deleted.
    #[error("the user of the API key was deleted")]
    UserDeleted,
    /// The database could not be asked. Not the caller's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many unknown keys are being checked.
    #[error("too many keys are being verified, try again")]
    Busy,
}

/// What is remembered of a credential, by the keyed hash of its text.
enum Memory {
    /// The secret fits that hash. The account was asked for at `seen`, and anew at `asked`.
    Verified {
        account: Arc<Account>,
        caller: Arc<Caller>,
        hash: Arc<str>,
        seen: Instant,
        asked: Instant,
    },
    /// The secret is wrong; that never changes: a new one is drawn, not chosen.
    Wrong,
}

/// What is to be done with a credential that was seen before.
enum Recalled {
    /// It is believed.
    Known(Arc<Account>, Arc<Caller>),
    /// The secret fits that hash; the account is to be read again.
    Old(Arc<str>),
    /// It is wrong.
    Wrong,
}

/// Verifies credentials.
pub struct Access {
    store: Store,
    clock: Arc<dyn Clock>,
    memory: Mutex<LruCache<[u8; 32], Memory>>,
    memory_key: [u8; 32],
    hashers: Arc<Semaphore>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Verifies against a store.
    ///
    /// # Errors
    /// When the operating system has no random bits for the memory's key.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Result<Self, getrandom::Error> {
        let mut memory_key = [0; 32];
        getrandom::fill(&mut memory_key)?;
        let memory = Mutex::new(LruCache::new(REMEMBERED));
        Ok(Self { store, clock, memory, memory_key, hashers: Arc::new(Semaphore::new(HASHERS)) })
    }

    /// Who sent this credential.
    ///
    /// # Errors
    /// Why it is not accepted; `Store` and `Busy` say nothing about the credential.
    pub async fn authenticate(&self, credential: Option<&str>) -> Result<Arc<Caller>, AuthError> {
        let text = credential.ok_or(AuthError::Missing)?;
        let parts = KeyParts::parse(text).ok_or(AuthError::Invalid)?;
        let name = *blake3::keyed_hash(&self.memory_key, text.as_bytes()).as_bytes();
        let (account, caller) = match self.remembered(name, parts.id).await {
            Some(known) => known?,
            None => self.verify(name, &parts).await?,
        };
        self.in_force(&account)?;
        Ok(caller)
    }

    /// What is known of a credential that was seen before.
    async fn remembered(
        &self,
        name: [u8; 32],
        key_id: &str,
    ) -> Option<Result<(Arc<Account>, Arc<Caller>), AuthError>> {
        Some(match self.recall(&name)? {
            Recalled::Wrong => Err(AuthError::Invalid),
            Recalled::Known(account, caller) => Ok((account, caller)),
            Recalled::Old(hash) => self.load(name, key_id, hash).await,
        })
    }

    /// Checks the secret of a credential that was not seen before.
    async fn verify(
        &self,
        name: [u8; 32],
        parts: &KeyParts<'_>,
    ) -> Result<(Arc<Account>, Arc<Caller>), AuthError> {
        let account = self.account(parts.id).await?;
        // A bounded wait: honest first calls queue for milliseconds, a flood is turned away.
        let turn = Arc::clone(&self.hashers).acquire_owned();
        let turn = tokio::time::timeout(Duration::from_secs(2), turn).await;
        let Ok(Ok(turn)) = turn else { return Err(AuthError::Busy) };
        // A busy key's first calls wait here together: one of them hashes for all.
        if let Some(known) = self.remembered(name, parts.id).await {
            return known;
        }
        let secret = parts.secret.expose().as_bytes().to_vec();
        let hashes = accepted(&account, self.clock.now_ms());
        // The turn ends with the hash, not with a caller who leaves before.
        let right = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            hashes.into_iter().find(|hash| matches_hash(&secret, hash))
        })
        .await;
        match right {
            // The key may have been revoked while this call waited for its turn.
            Ok(Some(hash)) => self.load(name, parts.id, hash).await,
            Ok(None) => {
                self.remember(name, Memory::Wrong);
                Err(AuthError::Invalid)
            }
            // Not hashed to the end: that says nothing about the secret.
            Err(_) => Err(AuthError::Busy),
        }
    }

    /// Reads the account of a credential whose secret is known to fit a hash. After a rotation the
    /// key may have another one.
    async fn load(
        &self,
        name: [u8; 32],
        key_id: &str,
        hash: Arc<str>,
    ) -> Result<(Arc<Account>, Arc<Caller>), AuthError> {
        let asked = Instant::now();
        let account = self.account(key_id).await?;
        if !accepted(&account, self.clock.now_ms()).contains(&hash) {
            self.remember(name, Memory::Wrong);
            return Err(AuthError::Invalid);
        }
        self.believe(name, account, (hash, asked))
    }

    async fn account(&self, key_id: &str) -> Result<Account, AuthError> {
        promptly(self.store.account(key_id)).await?.ok_or(AuthError::Invalid)
    }

    /// Remembers an account as it was when it was asked for, which is when its age begins: the
    /// answer may be old when it comes. One that was asked for later is not forgotten for it.
    fn believe(
        &self,
        name: [u8; 32],
        account: Account,
        (hash, asked): (Arc<str>, Instant),
    ) -> Result<(Arc<Account>, Arc<Caller>), AuthError> {
        let caller = Arc::new(Caller::of(&account)?);
        let account = Arc::new(account);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match memory.get(&name) {
            Some(Memory::Verified { account, caller, seen, .. }) if *seen > asked => {
                return Ok((Arc::clone(account), Arc::clone(caller)));
            }
            Some(Memory::Wrong) => return Err(AuthError::Invalid),
            _ => {}
        }
        let known = (Arc::clone(&account), Arc::clone(&caller));
        memory.put(name, Memory::Verified { account, caller, hash, seen: asked, asked });
        Ok(known)
    }

    fn in_force(&self, account: &Account) -> Result<(), AuthError> {
        if account.user.deleted_ms.is_some() {
            return Err(AuthError::UserDeleted);
        }
        // A delegated key works only as long as every key above it does.
        let now_ms = self.clock.now_ms();
        for key in std::iter::once(&account.key).chain(&account.ancestors) {
            if key.revoked_ms.is_some() {
                return Err(AuthError::Revoked);
            }
            if key.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
                return Err(AuthError::Expired);
            }
        }
        Ok(())
    }

    fn recall(&self, name: &[u8; 32]) -> Option<Recalled> {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match memory.get_mut(name)? {
            Memory::Wrong => Recalled::Wrong,
            Memory::Verified { account, caller, hash, seen, asked } => {
                let age = seen.elapsed();
                if age < FRESH || (age < BELIEVED && asked.elapsed() < ASKING) {
                    return Some(Recalled::Known(Arc::clone(account), Arc::clone(caller)));
                }
                *asked = Instant::now();
                Recalled::Old(Arc::clone(hash))
            }
        })
    }

    fn remember(&self, name: [u8; 32], what: Memory) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.put(name, what);
    }
}

/// Hashes of the secrets that a key works with at a moment.
fn accepted(account: &Account, now_ms: i64) -> Vec<Arc<str>> {
    let key = &account.key;
    let old = key.old_hash.as_deref().filter(|_| key.old_until_ms.is_some_and(|ms| now_ms < ms));
    [Some(key.secret_hash.as_str()), old].into_iter().flatten().map(Arc::from).collect()
}

fn matches_hash(secret: &[u8], hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(secret, &hash).is_ok())
}

#[cfg(test)]
mod tests;
