//! Which upstreams could serve a model name, in which order.

mod list;
mod plan;

pub use list::Listed;
pub use plan::{Candidate, Plan, UnknownModel};

use crate::{
    access::Pattern,
    config::{Config, Environment, ProviderEntry, ProviderKind},
    providers::{self, ProviderError},
    registry::Registry,
};
use std::sync::Arc;
use tollgate_types::{ModelInfo, Provider};

/// One configured upstream.
pub(crate) struct Upstream {
    name: String,
    provider: Arc<dyn Provider>,
    /// Models that may be reached.
    reachable: Vec<Pattern>,
    /// Models that are known from the start: those in this process, and those named one by one.
    known: Vec<ModelInfo>,
    /// Whether the models run in this process.
    in_process: bool,
    recent: list::Recent,
}

/// A name of the operator's for models of providers.
pub(crate) struct Alias {
    name: String,
    /// `provider/model`, tried in this order.
    targets: Vec<String>,
}

/// All upstreams and aliases.
pub struct Catalog {
    upstreams: Vec<Upstream>,
    aliases: Vec<Alias>,
    registry: Registry,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.upstreams.iter().map(|upstream| &upstream.name)).finish()
    }
}

impl Catalog {
    /// Makes every upstream; loads local models. Slow.
    ///
    /// # Errors
    /// When an upstream cannot be made.
    pub async fn open(config: &Config, environment: &Environment) -> Result<Self, ProviderError> {
        let mut providers = Vec::with_capacity(config.providers.len());
        for entry in &config.providers {
            providers.push(providers::open(entry, environment).await?);
        }
        Ok(Self::of(config, providers).await)
    }

    /// Over upstreams that are made already: one for each configured provider, in its order.
    pub async fn of(config: &Config, providers: Vec<Arc<dyn Provider>>) -> Self {
        let mut upstreams = Vec::with_capacity(providers.len());
        for (entry, provider) in config.providers.iter().zip(providers) {
            upstreams.push(Upstream::new(entry, provider).await);
        }
        let names = config.models.iter().flat_map(|entry| entry.names());
        let aliases =
            names.map(|(name, targets)| Alias { name: name.clone(), targets: targets.to_vec() });
        Self { upstreams, aliases: aliases.collect(), registry: Registry::of(config) }
    }

    fn upstream(&self, name: &str) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.name == name)
    }
}

impl Upstream {
    async fn new(entry: &ProviderEntry, provider: Arc<dyn Provider>) -> Self {
        let in_process = entry.kind == ProviderKind::Llama;
        let known = if in_process {
            provider.models().await.unwrap_or_default()
        } else {
            let named = entry.models.iter().filter(|model| !model.ends_with('*'));
            named.map(|model| ModelInfo { id: model.clone(), ..ModelInfo::default() }).collect()
        };
        Self {
            name: entry.name.clone(),
            provider,
            reachable: entry.models.iter().cloned().map(Pattern).collect(),
            known,
            in_process,
            recent: list::Recent::default(),
        }
    }

    /// Whether a request for this model may be sent here.
    fn serves(&self, model: &str) -> bool {
        let reachable = self.reachable.iter().any(|pattern| pattern.matches(model));
        reachable && (!self.in_process || self.knows(model).is_some())
    }

    fn knows(&self, model: &str) -> Option<&ModelInfo> {
        self.known.iter().find(|known| known.id == model)
    }
}

#[cfg(test)]
mod tests;
