//! What a token says.

use serde::{Deserialize, Serialize};

/// What a token says. It has no permissions: those are the key's, at the moment it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::access) struct Claims {
    /// Who made it.
    pub iss: String,
    /// Id of the user.
    pub sub: String,
    /// Id of the key that was exchanged.
    pub key_id: String,
    /// Which of the key's secrets was: the token ends with it.
    pub mark: String,
    /// When it was made, seconds since 1970 UTC.
    pub iat: i64,
    /// When it begins.
    pub nbf: i64,
    /// When it ends.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
}

/// Tells the secrets of a key apart and says nothing else about them: a hash of the hash.
pub(in crate::access) fn mark_of(secret_hash: &str) -> String {
    let hash = blake3::derive_key("tollgate 2026 mark of a key's secret", secret_hash.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|at| hash.get(at).copied().unwrap_or_default()))
        .to_string()
}
