//! What is known about models before anyone is asked: limits, capabilities and list prices of the
//! well-known ones, and what the operator says about any.
//!
//! The figures are data (`proxy/data/models.toml`), each price with its source and its day. They
//! hold for the vendor's own address only: what another host that speaks the same format offers
//! and charges is for the operator to say. Pure: nothing here asks anyone.

mod book;
mod model;
mod snapshot;
mod vendor;

pub use book::Book;
pub use model::{Fees, Model};
pub use vendor::Vendor;

use crate::config::{Config, ModelEntry, PriceEntry, ProviderEntry};
use tollgate_types::{Capability, Feature, ModelInfo};

/// What is known about the models of the configured providers.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    vendors: Vec<(String, Vendor)>,
    entries: Vec<ModelEntry>,
}

/// An operator's entry says that a model is like one that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("models: {name:?}: like = {like:?} is not in the registry{suggestion}")]
pub struct UnknownLike {
    name: String,
    like: String,
    suggestion: String,
}

impl Registry {
    /// The built-in registry with what the operator says about it.
    pub fn of(config: &Config) -> Self {
        let vendor = |entry: &ProviderEntry| Some((entry.name.clone(), Vendor::of(entry)?));
        Self {
            vendors: config.providers.iter().filter_map(vendor).collect(),
            entries: config.models.iter().filter(|entry| entry.is_model()).cloned().collect(),
        }
    }

    /// Refuses entries that refer to a model that is not there.
    ///
    /// # Errors
    /// The first such entry, with the nearest model that is there.
    pub fn check(&self) -> Result<(), UnknownLike> {
        for entry in &self.entries {
            let Some(like) = &entry.like else { continue };
            if Book::built_in().named(like).is_none() {
                let nearest = Book::built_in().nearest(like);
                let suggestion = nearest.map(|name| format!(", did you mean {name:?}?"));
                return Err(UnknownLike {
                    name: entry.name.clone(),
                    like: like.clone(),
                    suggestion: suggestion.unwrap_or_default(),
                });
            }
        }
        Ok(())
    }

    /// The vendor at whose own address a provider is.
    pub fn vendor(&self, provider: &str) -> Option<Vendor> {
        self.vendors.iter().find(|(name, _)| name == provider).map(|(_, vendor)| *vendor)
    }

    /// The built-in entry of a model: of the one that it is like, else of the vendor's own.
    pub fn model(&self, provider: &str, model: &str) -> Option<&'static Model> {
        if let Some(like) = self.entry(provider, model).and_then(|entry| entry.like.as_deref()) {
            return Book::built_in().named(like);
        }
        Book::built_in().find(self.vendor(provider)?, model)
    }

    /// Completes what a provider says about a model of its own. What the operator says comes first,
    /// then the provider, then the built-in entry.
    #[must_use]
    pub fn complete(&self, provider: &str, model: &str, info: ModelInfo) -> ModelInfo {
        let built_in = self.model(provider, model);
        let said = self.entry(provider, model);
        let window = said.and_then(|said| said.context_window).or(info.context_window);
        let output = said.and_then(|said| said.max_output_tokens).or(info.max_output_tokens);
        let told = Some(info.capabilities).filter(|told| !told.is_empty());
        let known = || built_in.map(|built_in| built_in.capabilities.clone()).unwrap_or_default();
        let said = said.and_then(|said| said.capabilities.clone());
        let features = Some(info.features).filter(|told| !told.is_empty() && said.is_none());
        let capabilities = said.or(told).unwrap_or_else(known);
        ModelInfo {
            context_window: window.or(built_in.and_then(|built_in| built_in.context_window)),
            max_output_tokens: output.or(built_in.and_then(|built_in| built_in.max_output_tokens)),
            features: features.unwrap_or_else(|| features_of(&capabilities)),
            capabilities,
            ..info
        }
    }

    /// The list price of a model, where its vendor or the operator says which one it is.
    pub fn list_price(&self, provider: &str, model: &str) -> Option<&'static PriceEntry> {
        self.model(provider, model)?.price.as_ref()
    }

    /// Whether a provider is at the address of the vendor of this model.
    pub fn is_of_vendor(&self, provider: &str, model: &str) -> bool {
        let find = |vendor| Book::built_in().find(vendor, model);
        self.vendor(provider).and_then(find).is_some()
    }

    fn entry(&self, provider: &str, model: &str) -> Option<&ModelEntry> {
        let names = |entry: &&ModelEntry| entry.name.split_once('/') == Some((provider, model));
        self.entries.iter().find(names)
    }
}

fn features_of(capabilities: &[Capability]) -> Vec<Feature> {
    capabilities.iter().filter_map(|capability| capability.feature()).collect()
}

#[cfg(test)]
mod tests;
