//! Why there is no run to read.

use crate::{gateway::Refusal, store::StoreError};

/// Why there is no run to read.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The call was not made.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The caller has no such run, or it is forgotten.
    #[error("there is no run {0:?}, or it is not known any more")]
    Unknown(String),
    /// The key belongs to another request.
    #[error("this idempotency key was used for a different request; use a new key")]
    OtherRequest,
    /// The first call still runs, at another server.
    #[error("a call with this idempotency key is still running at another server")]
    Elsewhere,
    /// The answer was too large to keep.
    #[error("a call with this idempotency key was made, but its answer was too large to keep")]
    NotKept,
    /// The events that are asked for are not kept any more.
    #[error("the events before number {first} are not kept any more")]
    EventsNotKept {
        /// Number of the first event that is.
        first: u64,
    },
    /// The run has no events behind the one that is named.
    #[error("the run has {events} events, none of them behind the one that is named")]
    NothingFollows {
        /// How many events it has.
        events: u64,
    },
    /// It was cancelled.
    #[error("the call was cancelled")]
    Cancelled,
    /// The server that made the call is gone.
    #[error(
        "the call {0} was interrupted: its server stopped. What it had produced is charged; ask again under a new idempotency key"
    )]
    Interrupted(String),
}
