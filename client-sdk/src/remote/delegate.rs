//! Keys below this one.

use super::RemoteProvider;
use tollgate_types::{CallOptions, DelegateRequest, DelegatedKey, Result, wire::path};

impl RemoteProvider {
    /// Makes a narrower key that lives shorter, for an agent or a task of its own.
    ///
    /// # Errors
    /// Whatever the server refuses: what the key above may not, and budgets larger than what is
    /// left above; `connection` when it cannot be reached.
    pub async fn delegate(&self, order: &DelegateRequest) -> Result<DelegatedKey> {
        self.post(path::DELEGATE, order, &CallOptions::default())?.answer().await
    }
}
