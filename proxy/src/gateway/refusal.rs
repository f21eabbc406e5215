//! Why a call was not made, or how it failed before its first event.

use crate::{
    access::Denied, catalog::UnknownModel, ledger::HoldError, limits::Limited, store::StoreError,
};

/// A call that gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nothing serves the model.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// A permission is missing.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Too many requests.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// No money could be set aside.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// The entry could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The upstream said no, or could not be reached.
    #[error(transparent)]
    Provider(#[from] tollgate_types::Error),
}
