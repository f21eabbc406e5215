//! Delegated keys: narrower and shorter ones, for an agent or a task of its own.

use crate::{
    RemoteProvider, authorized::Authorized, call::Call, credentials::Credentials, headers,
    remote::Inner,
};
use reqwest::Method;
use std::sync::Arc;
use tollgate_types::{
    CallOptions, DelegateRequest, DelegatedKey, Error, ErrorKind, Result, Secret,
    wire::{DelegatedKeyList, Revoked, path},
};

impl RemoteProvider {
    /// Makes a key below this provider's own, which may less and lives shorter. What it spends is
    /// spent from the budgets above it too. Use it with [`RemoteProvider::with_api_key`], here or in
    /// the process of the agent that gets it.
    ///
    /// With a [`TokenSource`](crate::TokenSource) it ends with the token that asked for it.
    ///
    /// # Errors
    /// `permission_denied` when it would be wider than the key above it, `quota_exceeded` when a
    /// budget has less left than is asked for; whatever else the server refuses.
    pub async fn delegate(&self, request: &DelegateRequest) -> Result<DelegatedKey> {
        let made = self.make_key(request).await?;
        if made.key.is_some() {
            return Ok(made);
        }
        // The first answer was lost, and with it the key: the repetition is told without.
        self.revoke_delegated(&made.id).await?;
        let made = self.make_key(request).await?;
        if made.key.is_some() {
            return Ok(made);
        }
        self.revoke_delegated(&made.id).await?;
        Err(Error::new(ErrorKind::Connection, "the answer with the key was lost twice"))
    }

    async fn make_key(&self, request: &DelegateRequest) -> Result<DelegatedKey> {
        self.by_key(self.post(path::DELEGATE, request, &CallOptions::default())?).answer().await
    }

    /// The keys in force that this provider's key delegated to, the newest first, without their
    /// text.
    ///
    /// # Errors
    /// Whatever the server refuses; `connection` when it cannot be reached.
    pub async fn delegated(&self) -> Result<Vec<DelegatedKey>> {
        let list: DelegatedKeyList = self.get(path::DELEGATE, &[]).answer().await?;
        Ok(list.keys)
    }

    /// Revokes a key below this provider's own, and every key below that one.
    ///
    /// # Errors
    /// `not_found` when no key of this id descends from this provider's; whatever else the server
    /// refuses.
    pub async fn revoke_delegated(&self, id: &str) -> Result<()> {
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Error::invalid("id", "the id of a key is letters and digits"));
        }
        let mut call = self.get(&format!("{}/{id}", path::DELEGATE), &[]);
        call.ask.method = Method::DELETE;
        call.answer::<Revoked>().await.map(drop)
    }

    /// The same provider with another key: the same server, settings and connections.
    ///
    /// # Errors
    /// `invalid_request` when it is no text that a header can hold.
    pub fn with_api_key(&self, key: impl Into<String>) -> Result<Self> {
        let key = headers::bearer(&Secret::new(key.into()))?;
        let Inner { bare, credentials, .. } = self.inner();
        let credentials = Arc::new(match **credentials {
            Credentials::Exchanged { .. } => Credentials::exchanged(key, Arc::clone(bare)),
            Credentials::Key(_) | Credentials::Source(_) => Credentials::Key(key),
        });
        let transport = Arc::clone(bare);
        let transport = Arc::new(Authorized { transport, credentials: Arc::clone(&credentials) });
        Ok(Self::of(Inner { transport, credentials, ..self.inner().clone() }))
    }

    /// With the key itself where there is one: what is made with a token ends with it.
    fn by_key(&self, mut call: Call) -> Call {
        call.authorization = self.inner().credentials.key().cloned();
        call
    }
}
