//! What verifies tokens: the keys of every server, as the database has them.
//!
//! Read again twice a second while tokens are used, so that a key that an operator ends is noticed
//! within one; and when a token names a key that is not known yet. One call reads for all.

use crate::store::{Store, StoreError, TokenKeyRow, promptly};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tollgate_types::Secret;

/// How long what was read is believed.
const FRESH: Duration = Duration::from_millis(500);
/// While one call reads, others go on with what was known, up to this age.
const BELIEVED: Duration = Duration::from_millis(900);
/// The longest wait for another call that reads.
const TURN: Duration = Duration::from_millis(900);

/// What verifies the tokens that one key signed.
#[derive(Debug)]
pub(super) struct VerifyingKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    /// Until when it signs.
    pub(super) signs_until_ms: i64,
    /// When the last token that it signed is over.
    pub(super) ends_ms: i64,
}

/// The keys as they were at a moment.
#[derive(Default)]
struct Known {
    /// When they were asked for; absent: never.
    asked: Option<Instant>,
    keys: HashMap<String, Arc<VerifyingKey>>,
}

impl Known {
    fn is_younger_than(&self, age: Duration) -> bool {
        self.asked.is_some_and(|asked| asked.elapsed() < age)
    }
}

/// The keys of every server.
pub(super) struct Verifier {
    store: Store,
    secret: Option<Arc<Secret<Vec<u8>>>>,
    known: Mutex<Arc<Known>>,
    turn: Semaphore,
}

impl Verifier {
    pub(super) fn new(store: Store, secret: Option<Arc<Secret<Vec<u8>>>>) -> Self {
        Self { store, secret, known: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// The key of a name, if there is one.
    pub(super) async fn key(&self, kid: &str) -> Result<Option<Arc<VerifyingKey>>, StoreError> {
        let known = self.known();
        if let Some(key) = known.keys.get(kid) {
            let believed = self.turn.available_permits() == 0 && known.is_younger_than(BELIEVED);
            if believed || known.is_younger_than(FRESH) {
                return Ok(Some(Arc::clone(key)));
            }
        }
        let wanted = Instant::now();
        let turn = tokio::time::timeout(TURN, self.turn.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(StoreError::silent()) };
        let known = self.known();
        // Whoever read meanwhile has read for this call too.
        let known = match known.asked {
            Some(asked) if asked >= wanted => known,
            _ => self.read().await?,
        };
        Ok(known.keys.get(kid).cloned())
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read(&self) -> Result<Arc<Known>, StoreError> {
        let asked = Instant::now();
        let rows = promptly(self.store.token_keys()).await?;
        let secret = self.secret.as_deref();
        let keys =
            rows.into_iter().filter_map(|row| Some((row.kid.clone(), of_row(&row, secret)?)));
        let known = Arc::new(Known { asked: Some(asked), keys: keys.collect() });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&known);
        Ok(known)
    }
}

/// `None` for a key that this server cannot verify: of an algorithm that it does not know, or of
/// another secret.
fn of_row(row: &TokenKeyRow, secret: Option<&Secret<Vec<u8>>>) -> Option<Arc<VerifyingKey>> {
    let (algorithm, key) = match row.algorithm.as_str() {
        "EdDSA" => {
            let public = URL_SAFE_NO_PAD.decode(&row.public_key).ok()?;
            (Algorithm::EdDSA, DecodingKey::from_ed_der(&public))
        }
        "HS256" => {
            let key = derived(secret?, &row.kid);
            let right = check_of(&key) == row.public_key;
            right.then(|| (Algorithm::HS256, DecodingKey::from_secret(key.expose())))?
        }
        _ => return None,
    };
    let (signs_until_ms, ends_ms) = (row.signs_until_ms, row.ends_ms);
    Some(Arc::new(VerifyingKey { algorithm, key, signs_until_ms, ends_ms }))
}

/// The key of HS256 of this name.
pub(super) fn derived(secret: &Secret<Vec<u8>>, kid: &str) -> Secret<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_derive_key("tollgate 2026 key that signs tokens");
    hasher.update(secret.expose()).update(b"\0").update(kid.as_bytes());
    Secret::new(*hasher.finalize().as_bytes())
}

/// Tells whether a server has the secret that a key was derived from.
pub(super) fn check_of(key: &Secret<[u8; 32]>) -> String {
    let check = blake3::derive_key("tollgate 2026 check of a key that signs tokens", key.expose());
    URL_SAFE_NO_PAD.encode(check)
}
