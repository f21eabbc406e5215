//! What the operator said: file, then environment, then defaults, validated once.
//!
//! This floor knows no consumers: it holds values that make sense on their own.

mod environment;
mod file;
mod ledger;
mod limits;
mod models;
mod prices;
mod providers;
mod retention;
mod server;
mod store;
mod suggest;

pub use environment::Environment;
pub use file::ConfigError;
pub use ledger::LedgerSettings;
pub use limits::Limits;
pub use models::ModelEntry;
pub use prices::{Amounts, LongContext, PriceEntry};
pub use providers::{GpuLayers, LoadedModel, OpenaiApi, ProviderEntry, ProviderKind};
pub use retention::Retention;
pub use server::Server;
pub use store::StoreSettings;

use serde::{Deserialize, Serialize};

/// The whole configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Listener and bodies.
    pub server: Server,
    /// Where the books are kept.
    pub store: StoreSettings,
    /// The books.
    pub ledger: LedgerSettings,
    /// How long usage is kept.
    pub retention: Retention,
    /// Limits of the whole server.
    pub limits: Limits,
    /// Upstreams, in the order in which they are asked.
    pub providers: Vec<ProviderEntry>,
    /// Aliases, and facts about models.
    pub models: Vec<ModelEntry>,
    /// What models cost.
    pub prices: Vec<PriceEntry>,
}

impl Config {
    /// Refuses what cannot work.
    fn validate(&self) -> Result<(), String> {
        self.server.validate()?;
        self.store.validate()?;
        self.ledger.validate()?;
        self.retention.validate()?;
        providers::validate(&self.providers)?;
        models::validate(&self.models, &self.providers)?;
        prices::validate(&self.prices)
    }
}
