//! A whole Tollgate server in this process, on a free port, with a database of its own, and what
//! tests do with one: make users and keys, call it, look into its books.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on shall fail here, where it says why"
)]

mod http;
mod people;

pub use http::{Reply, client};
pub use people::{Key, Terms, budget};

use std::{
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tollgate::{
    app::{App, StartError, open_store},
    catalog::Catalog,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ledger, serve,
    store::{EntryRow, Patience, Store, UsageFilter},
};
use tollgate_bench::Mock;
use tollgate_client::{RemoteProvider, RetryPolicy};
use tollgate_types::{BudgetStatus, Provider};

/// How long tests wait for what must happen soon. Only failing tests wait that long.
pub const SOON: Duration = Duration::from_secs(20);

/// Prices of everything the mock offers: 1000 nano-dollars per input token, 2000 per output token.
pub const PRICES: &str = "[[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n";

/// A server in this process. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The test's own access to its database.
    pub store: Store,
    /// Its database and whatever else it needs on disk.
    pub folder: TempDir,
    stop: oneshot::Sender<()>,
    running: JoinHandle<bool>,
}

/// The configuration of a server over a mock upstream, with more text after it.
pub fn config_over(mock: &Mock, more: &str) -> Config {
    let url = mock.base_url();
    config(&format!(
        "[[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{url}\"\n{PRICES}{more}"
    ))
}

/// A configuration from its text.
pub fn config(text: &str) -> Config {
    Config::parse(Path::new("test.toml"), text, &Environment::default()).unwrap()
}

impl Server {
    /// A server over a mock upstream.
    pub async fn over(mock: &Mock) -> Self {
        Self::start(config_over(mock, "")).await
    }

    /// A server with this configuration; its database goes to a folder of its own.
    pub async fn start(config: Config) -> Self {
        Self::with_environment(config, &Environment::default()).await
    }

    /// A server with these variables in its environment.
    pub async fn with_environment(config: Config, environment: &Environment) -> Self {
        let (folder, config) = housed(config);
        let app = App::build(&config, environment).await.unwrap();
        Self::run(app, folder, &config).await
    }

    /// A server over upstreams of the test's own, one for each configured provider.
    pub async fn around(config: Config, providers: Vec<Arc<dyn Provider>>) -> Self {
        let (folder, config) = housed(config);
        let catalog = async { Ok(Catalog::of(&config, providers).await) };
        let app = App::around(&config, catalog).await.unwrap();
        Self::run(app, folder, &config).await
    }

    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    async fn run(app: App, folder: TempDir, config: &Config) -> Self {
        let store = open_store(config, Patience::Command).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        Self { addr, store, folder, stop, running }
    }

    /// Why a server with this configuration does not start.
    pub async fn refusal(config: Config) -> StartError {
        let (_folder, config) = housed(config);
        App::build(&config, &Environment::default()).await.map(drop).unwrap_err()
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The SQLite file.
    pub fn database(&self) -> PathBuf {
        database_in(&self.folder)
    }

    /// A client that never tries again by itself.
    pub fn remote(&self, key: &Key) -> RemoteProvider {
        let retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
        let builder = RemoteProvider::builder().server(self.url()).api_key(&key.text).retry(retry);
        builder.build().unwrap()
    }

    /// Every budget as it stands.
    pub async fn budgets(&self) -> Vec<BudgetStatus> {
        let rows = self.store.budgets().await.unwrap();
        ledger::budget_statuses(&self.store, rows, SystemClock.now_ms()).await.unwrap()
    }

    /// The entries as they stand, the oldest first.
    pub async fn entries(&self) -> Vec<EntryRow> {
        let rows = self.store.usage_rows(&UsageFilter::default(), 10_000).await.unwrap();
        rows.into_iter().rev().map(|named| named.entry).collect()
    }

    /// The entries once there are so many and nothing is held any more.
    pub async fn settled(&self, count: usize) -> Vec<EntryRow> {
        eventually("every call is settled", async || {
            let held: i64 = self.budgets().await.iter().map(|budget| budget.held).sum();
            let entries = self.entries().await;
            (held == 0 && entries.len() >= count).then_some(entries)
        })
        .await
    }

    /// Stops it as SIGTERM would; whether everything was settled.
    pub async fn stop(self) -> bool {
        drop(self.stop);
        tokio::time::timeout(SOON, self.running).await.unwrap().unwrap()
    }
}

/// Asks again until there is an answer.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(started.elapsed() < SOON, "this did not happen within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for something that must happen soon.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(SOON, future).await;
    done.unwrap_or_else(|_| panic!("this did not happen within {SOON:?}: {what}"))
}

fn database_in(folder: &TempDir) -> PathBuf {
    folder.path().join("books").join("tollgate.db")
}

/// Gives a configuration a folder for its database, unless it names one itself.
fn housed(mut config: Config) -> (TempDir, Config) {
    let folder = TempDir::new().unwrap();
    if config.store.url == Config::default().store.url {
        config.store.url = format!("sqlite:{}", database_in(&folder).display());
    }
    (folder, config)
}
