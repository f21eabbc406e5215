//! Short-lived tokens: what an API key is exchanged for.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is asked for in exchange for a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenRequest {
    /// How long the token shall work, at most as long as the server gives them, which is what it
    /// gives when nobody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u32>,
}

/// A token in exchange for a key. It may what the key may, and ends with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenGrant {
    /// The token, to be sent in the place of the key.
    pub token: String,
    /// `Bearer`.
    pub token_type: String,
    /// When it ends by the server's clock, seconds since 1970 UTC.
    pub expires_at: i64,
    /// How long it works from now on. Who goes by this needs no clock that agrees with the
    /// server's.
    pub expires_in: u32,
}

/// Never shows the token itself.
impl fmt::Debug for TokenGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenGrant")
            .field("expires_at", &self.expires_at)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown_by_accident() {
        let json = r#"{"token":"ey.s3cret.x","token_type":"Bearer","expires_at":9,"expires_in":5}"#;
        let grant: TokenGrant = serde_json::from_str(json).unwrap();
        assert!(!format!("{grant:?}").contains("s3cret"));
        assert_eq!(serde_json::to_string(&grant).unwrap(), json);
    }

    #[test]
    fn a_request_takes_nothing_unknown() {
        assert_eq!(serde_json::from_str::<TokenRequest>("{}").unwrap(), TokenRequest::default());
        for wrong in [r#"{"ttl":5}"#, r#"{"ttl_seconds":-1}"#, r#"{"ttl_seconds":"5"}"#] {
            assert!(serde_json::from_str::<TokenRequest>(wrong).is_err(), "{wrong}");
        }
    }
}
