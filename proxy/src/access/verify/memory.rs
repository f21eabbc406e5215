//! What is remembered of credentials: an account is believed for half a second.

use crate::{
    access::{AuthError, Caller, tokens::Verified},
    store::Account,
};
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Credentials remembered, good and bad together.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
/// How long an account is believed before the database is asked again.
const FRESH: Duration = Duration::from_millis(500);
/// While one call asks, the others of a busy key go on with what was known, up to this age: a
/// revocation takes effect within it on every server.
const BELIEVED: Duration = Duration::from_millis(900);
/// How long one call may ask before another one does too.
const ASKING: Duration = Duration::from_millis(300);

/// The keyed hash of a credential's text.
pub(super) type Name = [u8; 32];

/// Why a credential is believed.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    /// Its secret, or the one that its token was exchanged for, fits this hash.
    pub(super) hash: Arc<str>,
    /// The token, where it is one.
    pub(super) token: Option<Arc<Verified>>,
}

/// What is remembered of a credential.
enum Entry {
    /// It was right. The account was asked for at `seen`, and anew at `asked`.
    Verified {
        account: Arc<Account>,
        caller: Arc<Caller>,
        proof: Proof,
        seen: Instant,
        asked: Instant,
    },
    /// The secret is wrong; that never changes: a new one is drawn, not chosen.
    Wrong,
}

/// Somebody who is believed.
pub(super) type Known = (Arc<Account>, Arc<Caller>);

/// What is to be done with a credential that was seen before.
pub(super) enum Recalled {
    /// It is believed.
    Known(Known, Proof),
    /// It was right; the account is to be read again.
    Old(Proof),
    /// It is wrong.
    Wrong,
}

/// What is remembered of credentials.
pub(super) struct Memory(Mutex<LruCache<Name, Entry>>);

impl Memory {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }

    pub(super) fn recall(&self, name: &Name) -> Option<Recalled> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(match memory.get_mut(name)? {
            Entry::Wrong => Recalled::Wrong,
            Entry::Verified { account, caller, proof, seen, asked } => {
                let age = seen.elapsed();
                if age < FRESH || (age < BELIEVED && asked.elapsed() < ASKING) {
                    let known = (Arc::clone(account), Arc::clone(caller));
                    return Some(Recalled::Known(known, proof.clone()));
                }
                *asked = Instant::now();
                Recalled::Old(proof.clone())
            }
        })
    }

    /// What is known so well that the database need not be asked.
    pub(super) fn fresh(&self, name: &Name) -> Option<Known> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match memory.get(name)? {
            Entry::Verified { account, caller, seen, .. } if seen.elapsed() < FRESH => {
                Some((Arc::clone(account), Arc::clone(caller)))
            }
            _ => None,
        }
    }

    /// Remembers an account as it was when it was asked for, which is when its age begins: the
    /// answer may be old when it comes. One that was asked for later is not forgotten for it.
    pub(super) fn believe(
        &self,
        name: Name,
        account: Account,
        (proof, asked): (Proof, Instant),
    ) -> Result<Known, AuthError> {
        let caller = Caller::of(&account, &proof.hash, proof.token.as_deref())?;
        let (account, caller) = (Arc::new(account), Arc::new(caller));
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match memory.get(&name) {
            Some(Entry::Verified { account, caller, seen, .. }) if *seen > asked => {
                return Ok((Arc::clone(account), Arc::clone(caller)));
            }
            Some(Entry::Wrong) => return Err(AuthError::Invalid),
            _ => {}
        }
        let known = (Arc::clone(&account), Arc::clone(&caller));
        memory.put(name, Entry::Verified { account, caller, proof, seen: asked, asked });
        Ok(known)
    }

    #[cfg(test)]
    pub(super) fn forget(&self, name: Name) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop(&name);
    }

    pub(super) fn remember_wrong(&self, name: Name) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.put(name, Entry::Wrong);
    }
}
