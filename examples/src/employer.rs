//! Who pays for the members of a team: nobody, or a Tollgate server, with a key for each of them.

use std::{collections::BTreeMap, sync::Arc};
use tollgate_client::RemoteProvider;
use tollgate_types::{
    CallOptions, DelegateRequest, Error, ErrorKind, Provider, Result, Secret, SubBudget,
};

/// A provider, and the way to give out keys for it.
#[derive(Clone)]
pub struct Employer {
    provider: Arc<dyn Provider>,
    server: Option<RemoteProvider>,
}

impl Employer {
    /// Models in this process, which ask for no key.
    pub fn local(provider: impl Provider) -> Self {
        Self { provider: Arc::new(provider), server: None }
    }

    /// A Tollgate server.
    pub fn remote(server: RemoteProvider) -> Self {
        Self { provider: Arc::new(server.clone()), server: Some(server) }
    }

    /// The provider.
    pub fn provider(&self) -> Arc<dyn Provider> {
        self.provider.clone()
    }

    /// How a member of a team makes its calls: with a key of its own, which works for an hour and
    /// has this budget. What it spends is spent from the budgets of the key above it too.
    ///
    /// # Errors
    /// Whatever the server says: a budget larger than what is left above it is refused.
    pub async fn employ(&self, member: &str, budget: SubBudget) -> Result<CallOptions> {
        let mut options = CallOptions::default();
        options.tags = BTreeMap::from([("agent".to_owned(), member.to_owned())]);
        let Some(server) = &self.server else { return Ok(options) };
        let order = DelegateRequest {
            name: Some(member.to_owned()),
            budgets: vec![budget],
            ..DelegateRequest::default()
        };
        let key = server.delegate(&order).await?.key;
        let missing = || Error::new(ErrorKind::Protocol, "the server made a key and kept it");
        options.credential = Some(Secret::new(key.ok_or_else(missing)?));
        Ok(options)
    }
}
