//! Builds every floor once, in floor order.

use crate::{
    access::Access,
    alerts::{AlertError, Alerts},
    catalog::Catalog,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    gateway::Gateway,
    ingress::{Front, Intake, Readiness},
    ledger::{Ledger, upkeep},
    limits::Limits,
    prices::{PriceList, Prices},
    providers::ProviderError,
    registry::Registry,
    runs::Runs,
    store::{Patience, Place, ServerLock, Store, StoreError},
    tasks::Tasks,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Reports made at once.
const REPORTS: usize = 2;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An upstream.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// Who is to be told.
    #[error(transparent)]
    Alerts(#[from] AlertError),
    /// The operating system.
    #[error("{0}")]
    System(String),
}

/// A server, built and not yet listening.
#[derive(Debug)]
pub struct App {
    /// What the ways in need.
    pub front: Arc<Front>,
    /// Background work.
    pub tasks: Tasks,
    /// How long running requests may take to finish at shutdown.
    pub drain: Duration,
    /// How long a request's head may take to arrive.
    pub read_patience: Duration,
    /// Connections at once.
    pub max_connections: usize,
    _lock: Option<ServerLock>,
}

/// Which database the configuration names.
///
/// # Errors
/// When it names none.
pub fn place_of(config: &Config) -> Result<Place, StartError> {
    Ok(if config.store.is_postgres() {
        Place::Server { url: config.store.url.clone(), connections: config.store.connections }
    } else {
        Place::File(config.store.sqlite_path().map_err(StartError::System)?.into())
    })
}

/// The database that the configuration names.
///
/// # Errors
/// When it cannot be opened or migrated.
pub async fn open_store(config: &Config, patience: Patience) -> Result<Store, StartError> {
    Ok(Store::open(place_of(config)?, patience).await?)
}

/// Whether nobody has a budget: one that is not kept is a lie.
async fn unlimited(store: &Store) -> Result<(), StartError> {
    match store.budgets().await?.len() {
        0 => {
            tracing::warn!("the ledger is off: calls are neither limited nor recorded");
            Ok(())
        }
        budgets => Err(StartError::System(format!(
            "ledger.enabled is false, and there are {budgets} budgets that would not be kept: turn the ledger on, or delete them"
        ))),
    }
}

impl App {
    /// Builds every floor. Slow: local models are loaded.
    ///
    /// # Errors
    /// When the database or an upstream cannot be used.
    pub async fn build(config: &Config, environment: &Environment) -> Result<Self, StartError> {
        let alerts = Alerts::of(&config.alerts, environment)?;
        let app = Self::around(config, Catalog::open(config, environment)).await?;
        if let Some(alerts) = alerts {
            alerts.start((app.front.store.clone(), Arc::clone(&app.front.clock)), &app.tasks);
        }
        Ok(app)
    }

    /// As [`App::build`], with upstreams that the caller makes. They are waited for once the
    /// database is known to work.
    ///
    /// # Errors
    /// As [`App::build`].
    pub async fn around(
        config: &Config,
        catalog: impl Future<Output = Result<Catalog, ProviderError>>,
    ) -> Result<Self, StartError> {
        let system = |error: &dyn std::fmt::Display| StartError::System(error.to_string());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let tasks = Tasks::new();
        let store = open_store(config, Patience::Server).await?;
        let lock = store.lock()?;
        let access = Access::with_tokens(store.clone(), Arc::clone(&clock), config.tokens.clone());
        let access = access.map_err(|e| system(&e))?;
        let registry = Registry::of(config);
        registry.check().map_err(|e| system(&e))?;
        let lease = Duration::from_secs(config.ledger.lease_seconds);
        let prices = PriceList::new(&config.prices).map_err(|e| system(&e))?.or_listed(registry);
        let prices = Arc::new(Prices::new(prices, Arc::clone(&clock)));
        prices.follow(store.clone(), &tasks).await?;
        let ledger = if config.ledger.enabled {
            let retention = config.retention.clone();
            upkeep::start(store.clone(), Arc::clone(&clock), &tasks, retention).await;
            Ledger::open(store.clone(), Arc::clone(&clock), &tasks, lease).await?
        } else {
            unlimited(&store).await?;
            Ledger::off(store.clone(), Arc::clone(&clock))
        };
        let catalog = catalog.await?;
        let limits = Limits::open(config.limits.max_concurrent, &config.redis, &tasks).await;
        let limits = limits.map_err(StartError::System)?;
        let gateway = Gateway { catalog, limits, prices, ledger, tasks: tasks.clone() };
        let gateway = Arc::new(gateway);
        let books = (store.clone(), Arc::clone(&clock));
        let runs = Runs::start(Arc::clone(&gateway), books, (config.runs.clone(), &config.redis));
        let front = Arc::new(Front {
            gateway,
            runs,
            access,
            store,
            clock,
            max_body_bytes: config.server.max_body_bytes,
            intake: Intake::new(config.server.max_intake_bytes),
            read_patience: Duration::from_secs(config.server.read_seconds),
            max_delegation_depth: config.access.max_delegation_depth,
            readiness: Readiness::default(),
            websocket: config.websocket.clone(),
            config: config.shown(),
            reports: Semaphore::new(REPORTS),
        });
        let drain = Duration::from_secs(config.server.drain_seconds);
        let read_patience = front.read_patience;
        let max_connections = config.server.max_connections;
        Ok(Self { front, tasks, drain, read_patience, max_connections, _lock: lock })
    }
}
