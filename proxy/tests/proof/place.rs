//! A whole server in this process, and clients of it over real sockets.

use crate::{
    transports::{TRANSPORTS, Transport},
    vendor::VENDORS,
};
use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    time::{Instant, sleep},
};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::App,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    serve::{self, Listeners},
    store::{BudgetRow, Store, UserRow},
};
use tollgate_client::{Builder, RemoteProvider, RetryPolicy};
use tollgate_types::{Error, Provider};

/// How long tests wait for what must happen soon. Only failing tests wait that long.
pub const SOON: Duration = Duration::from_secs(20);

/// A server in this process over an upstream that speaks every vendor's API. Dropping it stops it.
pub struct Place {
    pub addr: SocketAddr,
    pub grpc: SocketAddr,
    pub key: String,
    _stop: oneshot::Sender<()>,
    _folder: TempDir,
}

/// An alias whose first target is not there and whose second one is overloaded.
pub const FALLBACK: &str = "fallback";

impl Place {
    /// A server over an upstream on this host.
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    pub async fn over(host: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let text = format!(
            "[store]\nurl = \"sqlite:{}\"\n\
             [[models]]\nname = \"{FALLBACK}\"\n\
             targets = [\"gone/mock-echo\", \"anthropic/mock-status=503\", \"chat/mock-echo\"]\n\
             [[providers]]\nname = \"gone\"\nkind = \"openai\"\nbase_url = \"http://{gone}/v1\"\n{}",
            folder.path().join("books.db").display(),
            VENDORS.map(|vendor| vendor.entry(host)).concat(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let key = issue(&app.front.store).await;
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = http.local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = listener.local_addr().unwrap();
        let listeners = Listeners { http, grpc: cfg!(feature = "grpc").then_some(listener) };
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve::run(app, listeners, async {
            drop(stopped.await);
        }));
        Self { addr, grpc, key, _stop: stop, _folder: folder }
    }

    /// A client that tries nothing again by itself.
    pub fn client(&self, transport: Transport) -> Builder {
        let retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
        let builder = RemoteProvider::builder().server(format!("http://{}", self.addr));
        let grpc = format!("http://{}", self.grpc);
        (transport.1)(builder.api_key(&self.key).retry(retry), &grpc)
    }

    /// The same, built.
    pub fn remote(&self, transport: Transport) -> Arc<dyn Provider> {
        Arc::new(self.client(transport).build().unwrap())
    }

    /// What is held in all budgets.
    pub async fn held(&self) -> i64 {
        let remote = self.client(TRANSPORTS[0]).build().unwrap();
        let budgets = remote.budgets().await.unwrap();
        assert!(!budgets.is_empty(), "nothing could be held");
        budgets.iter().map(|budget| budget.held).sum()
    }
}

/// A key that may do everything, with a budget that is never used up.
async fn issue(store: &Store) -> String {
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
    let budget = BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        resource: "tokens".to_owned(),
        span: "month".to_owned(),
        cap: 1 << 50,
        ..BudgetRow::default()
    };
    let order = KeyOrder {
        name: "test".to_owned(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: vec![budget],
    };
    issue_key(store, &SystemClock, &user, order).await.unwrap().key.expose().clone()
}

/// Waits for something that must happen soon.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(SOON, future).await;
    done.unwrap_or_else(|_| panic!("not within {SOON:?}: {what}"))
}

/// Asks again until it holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = Instant::now() + SOON;
    while let Err(why) = holds().await {
        assert!(Instant::now() < deadline, "not within {SOON:?}: {what}: {why}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// An error without what only a server adds to it.
pub fn bare(error: Error) -> Error {
    error.with(|body| {
        body.request_id = None;
        body.source = None;
        body.status = None;
    })
}
