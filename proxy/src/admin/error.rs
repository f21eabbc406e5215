//! Why a change was not made.

use crate::{access::IssueError, store::StoreError};

/// Why a change was not made. Whatever it says, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A value makes no sense.
    #[error("{message}")]
    Invalid {
        /// The field of the order that has it.
        field: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// There is no such thing.
    #[error("there is no {kind} {name:?}")]
    Unknown {
        /// What kind of thing: `user`.
        kind: &'static str,
        /// How it was named.
        name: String,
    },
    /// What is there already is in the way.
    #[error("{0}")]
    InTheWay(String),
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    Reused,
    /// No secret could be made.
    #[error("{0}")]
    Secret(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    /// A value that makes no sense.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }

    /// There is no such thing.
    pub fn unknown(kind: &'static str, name: impl Into<String>) -> Self {
        Self::Unknown { kind, name: name.into() }
    }
}

impl From<IssueError> for AdminError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::Store(error) => Self::Store(error),
            IssueError::Random(_) | IssueError::Hash(_) => Self::Secret(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for AdminError {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(error.into())
    }
}
