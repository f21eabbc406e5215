//! What the operator said: file, then environment, then defaults, validated once.
//!
//! This floor knows no consumers: it holds values that make sense on their own.

mod access;
mod alerts;
mod environment;
mod file;
mod grpc;
mod ledger;
mod limits;
mod models;
mod prices;
mod providers;
mod redis;
mod retention;
mod runs;
mod server;
mod shown;
mod store;
mod suggest;
mod tokens;
mod websocket;

pub use access::AccessSettings;
pub use alerts::{AlertSettings, origin};
pub use environment::Environment;
pub use file::ConfigError;
pub use grpc::GrpcSettings;
pub use ledger::LedgerSettings;
pub use limits::Limits;
pub use models::ModelEntry;
pub use prices::{Amounts, LongContext, PriceEntry, PriceError, read_prices, write_prices};
pub use providers::{GpuLayers, LoadedModel, OpenaiApi, ProviderEntry, ProviderKind};
pub use redis::{OnFailure, Redis};
pub use retention::Retention;
pub use runs::RunSettings;
pub use server::Server;
pub use shown::masked_url;
pub use store::StoreSettings;
pub use tokens::{TokenAlgorithm, TokenSettings};
pub use websocket::WebSocketSettings;

use serde::{Deserialize, Serialize};

/// The whole configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Listener and bodies.
    pub server: Server,
    /// The listener of gRPC.
    pub grpc: GrpcSettings,
    /// Where the books are kept.
    pub store: StoreSettings,
    /// The books.
    pub ledger: LedgerSettings,
    /// Keys.
    pub access: AccessSettings,
    /// Short-lived tokens.
    pub tokens: TokenSettings,
    /// Who is told when a budget passes its percentage.
    pub alerts: AlertSettings,
    /// How long usage is kept.
    pub retention: Retention,
    /// Limits of the whole server.
    pub limits: Limits,
    /// Calls that can be joined again.
    pub runs: RunSettings,
    /// Where several servers count together.
    pub redis: Redis,
    /// Connections that carry many calls.
    pub websocket: WebSocketSettings,
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
        self.grpc.validate()?;
        self.store.validate()?;
        self.redis.validate()?;
        self.ledger.validate()?;
        self.access.validate()?;
        self.tokens.validate()?;
        self.alerts.validate()?;
        self.retention.validate()?;
        self.limits.validate()?;
        self.runs.validate()?;
        self.websocket.validate()?;
        providers::validate(&self.providers)?;
        models::validate(&self.models, &self.providers)
    }
}
