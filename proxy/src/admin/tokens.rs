//! Keys that sign tokens: ended before their time.

use super::{AdminError, Mandate, Office, Start};
use serde::{Deserialize, Serialize};

/// What becomes of the tokens that are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokensAbout {
    /// They work until their own end.
    Keep,
    /// They stop within a second.
    End,
}

/// What was rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRotation {
    /// Keys that sign no more.
    pub keys: u64,
    /// What became of the tokens that were about.
    pub tokens: TokensAbout,
}

impl Office {
    /// Ends every key that signs tokens. Each server notices within a second and makes another
    /// one when it is asked for a token.
    ///
    /// # Errors
    /// Any database failure.
    pub async fn rotate_tokens(
        &self,
        mandate: &Mandate,
        tokens: TokensAbout,
    ) -> Result<TokenRotation, AdminError> {
        let mut work = match self.begin(mandate, "tokens.rotate", &tokens).await? {
            Start::First(work) => work,
            Start::Again(answer) => return Ok(answer),
        };
        let keys = match tokens {
            TokensAbout::Keep => work.change.retire_token_keys(work.now_ms).await?,
            TokensAbout::End => work.change.end_token_keys().await?,
        };
        let done = TokenRotation { keys, tokens };
        work.finish("tokens".to_owned(), None::<&()>, Some(&done), done).await
    }
}
