//! Why a change was not made.

use crate::{access::IssueError, store::StoreError};
use tollgate_types::BudgetStatus;

/// Why a change was not made. Whatever it says, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A value makes no sense.
    #[error("{message}")]
    Invalid {
        /// The field of the order that has it.
        field: String,
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
    /// Whoever asks may not have this done.
    #[error("{message}")]
    Denied {
        /// The permission that is missing: `model:openai/*`.
        permission: String,
        /// Why.
        message: String,
    },
    /// A budget has less left than is asked for.
    #[error("{message}")]
    NotEnough {
        /// The field of the order that asks for it.
        field: String,
        /// How much is left, of what.
        message: String,
        /// The budget.
        budget: Box<BudgetStatus>,
    },
    /// Too many secrets are drawn at once.
    #[error("too many keys are being made, try again")]
    Busy,
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
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// The same, of a field inside of this one.
    #[must_use]
    pub fn below(self, parent: &str) -> Self {
        match self {
            Self::Invalid { field, message } => {
                Self::Invalid { field: format!("{parent}.{field}"), message }
            }
            other => other,
        }
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
            IssueError::Busy => Self::Busy,
            IssueError::Random(_) | IssueError::Hash(_) => Self::Secret(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for AdminError {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(error.into())
    }
}
