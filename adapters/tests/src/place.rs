//! Mocks of all vendors, and a server in this process before them, on free ports.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall fail here")]

use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::App,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    providers, serve,
    store::{BudgetRow, Store, UsageFilter, UserRow},
};
use tollgate_bench::Mock;
use tollgate_client::{RemoteProvider, RetryPolicy};
use tollgate_types::Provider;

/// Every wire format of an upstream.
pub const VENDORS: [&str; 5] = ["openai", "responses", "anthropic", "google", "ollama"];

const SOON: Duration = Duration::from_secs(20);

/// The mocks and the server. Dropping it stops them.
#[derive(Debug)]
pub struct Place {
    /// The mocks.
    pub mock: Mock,
    /// The server's books.
    pub store: Store,
    config: Config,
    /// Where the server listens.
    pub url: String,
    /// A key of alice's.
    pub key: String,
    _folder: TempDir,
    _stop: oneshot::Sender<()>,
}

fn configuration(mock: &Mock, folder: &TempDir) -> Config {
    let providers = VENDORS.map(|vendor| {
        let kind = match vendor {
            "openai" => "kind = \"openai\"\napi = \"chat\"",
            "responses" => "kind = \"openai\"\napi = \"responses\"",
            "anthropic" => "kind = \"anthropic\"",
            "google" => "kind = \"google\"",
            _ => "kind = \"ollama\"",
        };
        let path = if kind.contains("openai") { "/v1" } else { "" };
        format!(
            "[[providers]]\nname = \"{vendor}\"\n{kind}\nbase_url = \"{}{path}\"\n\n\
             [[prices]]\nmodel = \"{vendor}/*\"\ninput = \"1\"\noutput = \"2\"\n\n",
            mock.url()
        )
    });
    let books = folder.path().join("t.db");
    let text = format!("[store]\nurl = \"sqlite:{}\"\n{}", books.display(), providers.concat());
    Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap()
}

impl Place {
    /// With a key that may do everything.
    pub async fn start() -> Self {
        Self::with_budgets(Vec::new()).await
    }

    /// With a key that has these budgets.
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    pub async fn with_budgets(budgets: Vec<BudgetRow>) -> Self {
        let mock = Mock::start().await.unwrap();
        let folder = TempDir::new().unwrap();
        let config = configuration(&mock, &folder);
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let store = app.front.store.clone();
        let key = key(&store, budgets).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        Self { mock, store, config, url, key, _folder: folder, _stop: stop }
    }

    /// The provider itself, in this process.
    pub async fn direct(&self, vendor: &str) -> Arc<dyn Provider> {
        let entry = self.config.providers.iter().find(|entry| entry.name == vendor).unwrap();
        providers::open(entry, &Environment::default()).await.unwrap()
    }

    /// The server as a provider.
    pub fn remote(&self) -> Arc<dyn Provider> {
        Arc::new(self.client())
    }

    /// The client of the server, which never tries again by itself.
    pub fn client(&self) -> RemoteProvider {
        let retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
        let remote = RemoteProvider::builder().server(&self.url).api_key(&self.key).retry(retry);
        remote.build().unwrap()
    }

    /// The bodies that reached the mocks, byte for byte.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.mock.requests().into_iter().map(|seen| seen.raw.to_vec()).collect()
    }

    /// Waits until so many calls are in the books.
    pub async fn settled(&self, count: usize) {
        let mut poll = tokio::time::interval(Duration::from_millis(10));
        let counted = async {
            while self.store.usage_rows(&UsageFilter::default(), 100).await.unwrap().len() < count {
                poll.tick().await;
            }
        };
        tokio::time::timeout(SOON, counted).await.unwrap();
    }

    /// Waits until the mock knows that its client left.
    pub async fn client_left(&self) {
        assert!(self.mock.saw_aborts(1, SOON).await, "the call goes on at the vendor");
    }
}

async fn key(store: &Store, budgets: Vec<BudgetRow>) -> String {
    let user = UserRow {
        id: new_id(&SystemClock),
        name: "alice".to_owned(),
        role: Role::Member.as_str().to_owned(),
        time_zone: "UTC".to_owned(),
        permissions: "{}".to_owned(),
        created_ms: SystemClock.now_ms(),
        ..UserRow::default()
    };
    store.insert_user(&user, &[]).await.unwrap();
    let order = KeyOrder {
        name: "test".to_owned(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets,
    };
    issue_key(store, &SystemClock, &user, order).await.unwrap().key.expose().clone()
}

/// A budget of so many requests.
pub fn requests(cap: i64) -> BudgetRow {
    BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        resource: "requests".to_owned(),
        span: "day".to_owned(),
        cap,
        ..BudgetRow::default()
    }
}
