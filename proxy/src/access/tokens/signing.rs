//! What signs tokens: a key of this server's own, made when the first token is asked for.

use super::{
    TokenError,
    verifying::{Verifier, check_of, derived},
};
use crate::{
    clock::Clock,
    config::{TokenAlgorithm, TokenSettings},
    ids::new_id,
    store::{Store, StoreError, TokenKeyRow, promptly},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;
use tollgate_types::Secret;

const DAY_MS: i64 = 24 * 3_600_000;
/// A server notices within it that its key shall sign no more.
const NOTICE_MS: i64 = 5_000;
/// The longest wait for another call that makes a key.
const TURN: Duration = Duration::from_millis(900);

/// What signs tokens.
pub(super) struct SigningKey {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: EncodingKey,
}

/// The key of this server.
pub(super) struct Signer {
    store: Store,
    verifier: Arc<Verifier>,
    secret: Option<Arc<Secret<Vec<u8>>>>,
    current: Mutex<Option<Arc<SigningKey>>>,
    making: Semaphore,
}

impl Signer {
    pub(super) fn new(
        store: Store,
        verifier: Arc<Verifier>,
        secret: Option<Arc<Secret<Vec<u8>>>>,
    ) -> Self {
        let (current, making) = (Mutex::default(), Semaphore::new(1));
        Self { store, verifier, secret, current, making }
    }

    /// A key that signs now. Every server can verify what it signed.
    pub(super) async fn key(
        &self,
        clock: &dyn Clock,
        settings: &TokenSettings,
    ) -> Result<Arc<SigningKey>, TokenError> {
        if let Some(key) = self.current(clock).await? {
            return Ok(key);
        }
        let turn = tokio::time::timeout(TURN, self.making.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(StoreError::silent().into()) };
        if let Some(key) = self.current(clock).await? {
            return Ok(key);
        }
        let now_ms = clock.now_ms();
        let (key, row) = self.draw(new_id(clock), settings, now_ms)?;
        // Nothing is signed before others can verify it.
        promptly(self.store.insert_token_key(&row, now_ms.saturating_sub(DAY_MS))).await?;
        let key = Arc::new(key);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&key));
        tracing::info!(kid = key.kid, "a new key signs tokens");
        Ok(key)
    }

    /// The key that was made before, unless its time is over or an operator ended it.
    async fn current(&self, clock: &dyn Clock) -> Result<Option<Arc<SigningKey>>, StoreError> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(current) = current else { return Ok(None) };
        let verifying = self.verifier.key(&current.kid).await?;
        let signs = verifying.is_some_and(|key| clock.now_ms() < key.signs_until_ms);
        Ok(signs.then_some(current))
    }

    fn draw(
        &self,
        kid: String,
        settings: &TokenSettings,
        now_ms: i64,
    ) -> Result<(SigningKey, TokenKeyRow), TokenError> {
        let failed = |what: &str| TokenError::Signature(what.to_owned());
        let (algorithm, word, key, public_key) = match settings.algorithm {
            TokenAlgorithm::Eddsa => {
                let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| failed("no random bits for a key"))?;
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref())
                    .map_err(|_| failed("a key that was just made cannot be read"))?;
                let public = URL_SAFE_NO_PAD.encode(pair.public_key());
                (Algorithm::EdDSA, "EdDSA", EncodingKey::from_ed_der(pkcs8.as_ref()), public)
            }
            TokenAlgorithm::Hs256 => {
                let secret = self.secret.as_deref().ok_or_else(|| failed("there is no secret"))?;
                let key = derived(secret, &kid);
                let check = check_of(&key);
                (Algorithm::HS256, "HS256", EncodingKey::from_secret(key.expose()), check)
            }
        };
        let signs_until_ms = now_ms.saturating_add(i64::from(settings.rotate_days) * DAY_MS);
        let lifetime_ms = i64::from(settings.lifetime_seconds).saturating_mul(1000);
        let row = TokenKeyRow {
            kid: kid.clone(),
            algorithm: word.to_owned(),
            public_key,
            created_ms: now_ms,
            signs_until_ms,
            ends_ms: signs_until_ms.saturating_add(lifetime_ms).saturating_add(NOTICE_MS),
        };
        Ok((SigningKey { kid, algorithm, key }, row))
    }
}
