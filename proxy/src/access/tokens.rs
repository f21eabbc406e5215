//! Short-lived tokens: what a key is exchanged for, so that the key itself is sent rarely.
//!
//! A token is a JWT that names its key. It may what that key may at the moment it is used, and works
//! only as long as the key and the secret that it was exchanged for do. Private keys stay in the
//! memory of the server that made them; the database has what verifies them, for all servers.
//!
//! Read next: `signing` (keys that sign), `verifying` (keys that verify), `backend` (cryptography).

mod backend;
mod claims;
mod signing;
mod verifying;

pub(super) use claims::{Claims, mark_of};

use super::{AuthError, Caller};
use crate::{
    clock::Clock,
    config::{TokenAlgorithm, TokenSettings},
    ids::new_id,
    store::{Store, StoreError},
};
use jsonwebtoken::{Header, Validation, decode, decode_header, encode};
use signing::Signer;
use std::{io, path::PathBuf, sync::Arc};
use tollgate_types::{Secret, TokenGrant};
use verifying::Verifier;

/// A longer text is not looked at.
const MAX_LENGTH: usize = 8 * 1024;
/// The shortest secret of HS256.
const MIN_SECRET: usize = 32;

/// Why there can be no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenSetupError {
    /// The operating system gave no random bits.
    #[error("no random bits for a secret: {0}")]
    Random(#[from] getrandom::Error),
    /// The file with the secret cannot be read.
    #[error("cannot read tokens.secret_file {path}: {source}")]
    SecretFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The secret is too short.
    #[error("the secret in tokens.secret_file {0} is shorter than {MIN_SECRET} bytes")]
    ShortSecret(PathBuf),
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// This server gives none.
    #[error("this server gives no tokens")]
    Disabled,
    /// The caller's credential is a token itself.
    #[error("a token is not exchanged for another one: send the API key")]
    NotAKey,
    /// It was asked for longer than tokens work.
    #[error("ttl_seconds must be from 1 to {0}")]
    Lifetime(u32),
    /// No key to sign with could be made, or it did not sign.
    #[error("the token could not be signed: {0}")]
    Signature(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes tokens and tells good ones from others.
pub(super) struct Tokens {
    settings: TokenSettings,
    clock: Arc<dyn Clock>,
    signer: Signer,
    verifier: Arc<Verifier>,
}

impl Tokens {
    pub(super) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        settings: TokenSettings,
    ) -> Result<Self, TokenSetupError> {
        backend::install();
        let secret = secret_of(&settings)?;
        let verifier = Arc::new(Verifier::new(store.clone(), secret.clone()));
        let signer = Signer::new(store, Arc::clone(&verifier), secret);
        Ok(Self { settings, clock, signer, verifier })
    }

    /// Whether a credential is meant as a token, good or bad.
    pub(super) fn is_like(credential: &str) -> bool {
        !credential.starts_with("tg_")
            && credential.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// A token for a caller who sent a key.
    pub(super) async fn issue(
        &self,
        caller: &Caller,
        ttl_seconds: Option<u32>,
    ) -> Result<TokenGrant, TokenError> {
        let most = self.settings.lifetime_seconds;
        let ttl_seconds = ttl_seconds.unwrap_or(most);
        if !self.settings.enabled {
            return Err(TokenError::Disabled);
        }
        if caller.token_ends_ms().is_some() {
            return Err(TokenError::NotAKey);
        }
        if !(1..=most).contains(&ttl_seconds) {
            return Err(TokenError::Lifetime(most));
        }
        let key = self.signer.key(self.clock.as_ref(), &self.settings).await?;
        let now_ms = self.clock.now_ms();
        let iat = now_ms / 1000;
        let own = iat.saturating_add(i64::from(ttl_seconds));
        // In the second in which the key ends, the token ends with it all the same.
        let exp = caller.expires_ms().map_or(own, |ms| own.min(ms / 1000)).max(iat + 1);
        let claims = Claims {
            iss: self.settings.issuer.clone(),
            sub: caller.user_id().to_owned(),
            key_id: caller.key_id().to_owned(),
            mark: caller.mark().to_owned(),
            iat,
            nbf: iat,
            exp,
            jti: new_id(self.clock.as_ref()),
        };
        let header = Header { kid: Some(key.kid.clone()), ..Header::new(key.algorithm) };
        let token = encode(&header, &claims, &key.key)
            .map_err(|error| TokenError::Signature(error.to_string()))?;
        let expires_in = u32::try_from(exp - iat).unwrap_or(ttl_seconds);
        Ok(TokenGrant { token, token_type: "Bearer".to_owned(), expires_at: exp, expires_in })
    }

    /// What a token says, if a server of this database has signed it. The name of its key is added.
    pub(super) async fn verify(&self, token: &str) -> Result<Verified, AuthError> {
        if !self.settings.enabled {
            return Err(AuthError::TokenInvalid("this server takes no tokens"));
        }
        if token.len() > MAX_LENGTH {
            return Err(AuthError::TokenInvalid("it is too long"));
        }
        let unreadable = |_| AuthError::TokenInvalid("it cannot be read");
        let header = decode_header(token).map_err(unreadable)?;
        let kid = header.kid.ok_or(AuthError::TokenInvalid("its header has no kid"))?;
        if kid.len() > 64 {
            return Err(AuthError::TokenInvalid("its header's kid is too long"));
        }
        let key = self.verifier.key(&kid).await?.ok_or(AuthError::TokenExpired)?;
        // Times are checked whenever the token is used, by this server's own clock.
        let mut rules = Validation::new(key.algorithm);
        rules.set_required_spec_claims(&["iss", "sub", "exp", "nbf"]);
        rules.set_issuer(&[&self.settings.issuer]);
        rules.validate_exp = false;
        rules.validate_aud = false;
        let token = decode::<Claims>(token, &key.key, &rules)
            .map_err(|_| AuthError::TokenInvalid("no server here has signed it"))?;
        Ok(Verified { claims: token.claims, kid })
    }

    /// Whether a token may be used now.
    pub(super) async fn in_force(&self, token: &Verified) -> Result<(), AuthError> {
        let (now_ms, leeway_ms) = (self.clock.now_ms(), self.leeway_ms());
        let (begins_ms, ends_ms) = (token.claims.nbf.saturating_mul(1000), token.ends_ms());
        if now_ms >= ends_ms.saturating_add(leeway_ms) {
            return Err(AuthError::TokenExpired);
        }
        if begins_ms > now_ms.saturating_add(leeway_ms) {
            return Err(AuthError::TokenInvalid("it is of the future: clocks differ"));
        }
        match self.verifier.key(&token.kid).await? {
            Some(key) if now_ms < key.ends_ms.saturating_add(leeway_ms) => Ok(()),
            _ => Err(AuthError::TokenExpired),
        }
    }

    fn leeway_ms(&self) -> i64 {
        i64::from(self.settings.leeway_seconds).saturating_mul(1000)
    }
}

/// A token whose signature is right.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) claims: Claims,
    kid: String,
}

impl Verified {
    /// When it ends.
    pub(super) fn ends_ms(&self) -> i64 {
        self.claims.exp.saturating_mul(1000)
    }
}

fn secret_of(settings: &TokenSettings) -> Result<Option<Arc<Secret<Vec<u8>>>>, TokenSetupError> {
    let Some(path) = &settings.secret_file else { return Ok(None) };
    let bytes = std::fs::read(path)
        .map_err(|source| TokenSetupError::SecretFile { path: path.clone(), source })?;
    let bytes = bytes.trim_ascii();
    if bytes.len() < MIN_SECRET && settings.algorithm == TokenAlgorithm::Hs256 {
        return Err(TokenSetupError::ShortSecret(path.clone()));
    }
    Ok(Some(Arc::new(Secret::new(bytes.to_vec()))))
}

#[cfg(test)]
mod tests;
