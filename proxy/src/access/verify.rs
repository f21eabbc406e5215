//! Credential to caller: argon2 once per key and process, a keyed hash afterwards.
//!
//! Hashing a password costs about 15 ms and, meanwhile, 19 MiB, so it never stands on the path of a
//! request that was seen before, and strangers cannot make the server hash: a key that is not in the
//! database is refused without hashing, hashing is bounded, and a wrong secret is remembered. The
//! signature of a token is checked once too; its key is read again like any other.

mod memory;

use super::{
    Caller, KeyParts, hashing,
    tokens::{TokenError, TokenSetupError, Tokens, Verified, mark_of},
};
use crate::{
    clock::Clock,
    config::TokenSettings,
    store::{Account, Store, StoreError, promptly},
};
use memory::{Known, Memory, Name, Proof, Recalled};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Mutex, Semaphore};
use tollgate_types::TokenGrant;

/// Hashes computed at once.
const HASHERS: usize = 2;
/// Credentials share so many turns, so that two rarely wait for each other.
const READERS: usize = 64;

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
    /// The token's time is over, or that of the key or secret behind it: another one may be good.
    #[error("the token has expired")]
    TokenExpired,
    /// It is no token of this server, or not yet.
    #[error("the token is not valid: {0}")]
    TokenInvalid(&'static str),
    /// The database could not be asked. Not the caller's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many unknown keys are being checked.
    #[error("too many keys are being verified, try again")]
    Busy,
}

/// Verifies credentials.
pub struct Access {
    store: Store,
    clock: Arc<dyn Clock>,
    keys_seen: Memory,
    tokens_seen: Memory,
    memory_key: [u8; 32],
    hashers: Arc<Semaphore>,
    /// Who reads the account of a credential again, one at a time.
    readers: [Mutex<()>; READERS],
    tokens: Tokens,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Verifies against a store, with the usual tokens.
    ///
    /// # Errors
    /// When the operating system has no random bits for the memory's key.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Result<Self, TokenSetupError> {
        Self::with_tokens(store, clock, TokenSettings::default())
    }

    /// Verifies against a store, and gives tokens as these settings say.
    ///
    /// # Errors
    /// When the operating system has no random bits, or the secret of tokens cannot be read.
    pub fn with_tokens(
        store: Store,
        clock: Arc<dyn Clock>,
        settings: TokenSettings,
    ) -> Result<Self, TokenSetupError> {
        let mut memory_key = [0; 32];
        getrandom::fill(&mut memory_key)?;
        Ok(Self {
            tokens: Tokens::new(store.clone(), Arc::clone(&clock), settings)?,
            store,
            clock,
            keys_seen: Memory::new(),
            // Apart, so that whoever asks for many tokens makes nobody's key unknown.
            tokens_seen: Memory::new(),
            memory_key,
            hashers: Arc::new(Semaphore::new(HASHERS)),
            readers: std::array::from_fn(|_| Mutex::new(())),
        })
    }

    /// Who sent this credential, a key or a token, by whatever way it came.
    ///
    /// # Errors
    /// Why it is not accepted; `Store` and `Busy` say nothing about the credential.
    pub async fn authenticate(&self, credential: Option<&str>) -> Result<Arc<Caller>, AuthError> {
        let text = credential.ok_or(AuthError::Missing)?;
        let (account, caller) = if Tokens::is_like(text) {
            self.by_token(text).await?
        } else {
            self.by_key(text).await?
        };
        self.in_force(&account)?;
        Ok(caller)
    }

    /// A token in exchange for the key that a caller sent.
    ///
    /// # Errors
    /// When the caller sent a token, or there are none, or none that works so long; when the
    /// database fails.
    pub async fn issue_token(
        &self,
        caller: &Caller,
        ttl_seconds: Option<u32>,
    ) -> Result<TokenGrant, TokenError> {
        self.tokens.issue(caller, ttl_seconds).await
    }

    fn name_of(&self, text: &str) -> Name {
        *blake3::keyed_hash(&self.memory_key, text.as_bytes()).as_bytes()
    }

    async fn by_token(&self, text: &str) -> Result<Known, AuthError> {
        let name = self.name_of(text);
        match self.tokens_seen.recall(&name) {
            // The secret behind it is not the key's any more.
            Some(Recalled::Wrong) => Err(AuthError::TokenExpired),
            Some(Recalled::Known(known, proof)) => {
                self.token_in_force(&proof).await?;
                Ok(known)
            }
            Some(Recalled::Old(proof)) => {
                self.token_in_force(&proof).await?;
                let id = proof.token.as_ref().map(|token| token.claims.key_id.clone());
                // Boxed, as all that asks the database: what is remembered needs no room for it.
                Box::pin(self.reload(name, &id.unwrap_or_default(), proof)).await
            }
            None => {
                Box::pin(async { self.verify_token(name, self.tokens.verify(text).await?).await })
                    .await
            }
        }
    }

    async fn token_in_force(&self, proof: &Proof) -> Result<(), AuthError> {
        match &proof.token {
            Some(token) => self.tokens.in_force(token).await,
            None => Ok(()),
        }
    }

    /// A token whose signature is right, and that was not seen before.
    async fn verify_token(&self, name: Name, token: Verified) -> Result<Known, AuthError> {
        self.tokens.in_force(&token).await?;
        let asked = Instant::now();
        let account = self.account(&token.claims.key_id).await?;
        if account.user.id != token.claims.sub {
            return Err(AuthError::TokenInvalid("its user is another one than its key's"));
        }
        let mut hashes = accepted(&account, self.clock.now_ms()).into_iter();
        let hash = hashes.find(|hash| mark_of(hash) == token.claims.mark);
        let hash = hash.ok_or(AuthError::TokenExpired)?;
        let proof = Proof { hash, token: Some(Arc::new(token)) };
        self.tokens_seen.believe(name, account, (proof, asked))
    }

    async fn by_key(&self, text: &str) -> Result<Known, AuthError> {
        let parts = KeyParts::parse(text).ok_or(AuthError::Invalid)?;
        let name = self.name_of(text);
        match self.remembered(name, parts.id).await {
            Some(known) => known,
            None => Box::pin(self.verify(name, &parts)).await,
        }
    }

    /// What is known of a key that was seen before.
    async fn remembered(&self, name: Name, key_id: &str) -> Option<Result<Known, AuthError>> {
        Some(match self.keys_seen.recall(&name)? {
            Recalled::Wrong => Err(AuthError::Invalid),
            Recalled::Known(known, _) => Ok(known),
            Recalled::Old(proof) => Box::pin(self.reload(name, key_id, proof)).await,
        })
    }

    /// Checks the secret of a key that was not seen before.
    async fn verify(&self, name: Name, parts: &KeyParts<'_>) -> Result<Known, AuthError> {
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
            hashes.into_iter().find(|hash| hashing::fits(&secret, hash))
        })
        .await;
        match right {
            // The key may have been revoked while this call waited for its turn.
            Ok(Some(hash)) => self.load(name, parts.id, Proof { hash, token: None }).await,
            Ok(None) => {
                self.keys_seen.remember_wrong(name);
                Err(AuthError::Invalid)
            }
            // Not hashed to the end: that says nothing about the secret.
            Err(_) => Err(AuthError::Busy),
        }
    }

    /// Reads an account again. Of many calls that come at once after a pause one asks, and the others
    /// take what it was told; the turn and the answer together are waited for as long as one answer.
    async fn reload(&self, name: Name, key_id: &str, proof: Proof) -> Result<Known, AuthError> {
        let reading = async {
            let _turn = self.reader(&name).lock().await;
            match self.memory_of(&proof).fresh(&name) {
                Some(known) => Ok(known),
                None => self.load(name, key_id, proof).await,
            }
        };
        promptly(async { Ok(reading.await) }).await?
    }

    fn reader(&self, name: &Name) -> &Mutex<()> {
        let ([first, ..], [any, ..]) = (name, &self.readers);
        self.readers.get(usize::from(*first) % READERS).unwrap_or(any)
    }

    fn memory_of(&self, proof: &Proof) -> &Memory {
        if proof.token.is_some() { &self.tokens_seen } else { &self.keys_seen }
    }

    /// Reads the account of a credential that is known to be right. After a rotation the key may
    /// have another secret.
    async fn load(&self, name: Name, key_id: &str, proof: Proof) -> Result<Known, AuthError> {
        let asked = Instant::now();
        let account = self.account(key_id).await?;
        let memory = self.memory_of(&proof);
        if !accepted(&account, self.clock.now_ms()).contains(&proof.hash) {
            memory.remember_wrong(name);
            let is_token = proof.token.is_some();
            return Err(if is_token { AuthError::TokenExpired } else { AuthError::Invalid });
        }
        memory.believe(name, account, (proof, asked))
    }

    async fn account(&self, key_id: &str) -> Result<Account, AuthError> {
        promptly(self.store.account(key_id)).await?.ok_or(AuthError::Invalid)
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
}

/// Hashes of the secrets that a key works with at a moment.
fn accepted(account: &Account, now_ms: i64) -> Vec<Arc<str>> {
    let key = &account.key;
    let old = key.old_hash.as_deref().filter(|_| key.old_until_ms.is_some_and(|ms| now_ms < ms));
    [Some(key.secret_hash.as_str()), old].into_iter().flatten().map(Arc::from).collect()
}

#[cfg(test)]
mod tests;
