//! A server in this process on a free port, a mock upstream behind it under two formats, and a key.

use std::{future::Future, net::SocketAddr, path::Path, time::Duration};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tollgate::{
    access::{IssuedKey, KeyOrder, Permissions, Role, issue_key},
    app::{App, open_store},
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    serve,
    store::{BudgetRow, Patience, Store, UserRow},
};
use tollgate_bench::Mock;

/// How long tests wait for what must happen soon. Only failing tests wait that long.
pub const SOON: Duration = Duration::from_secs(30);

/// The server. Dropping it stops it.
pub struct Gate {
    pub mock: Mock,
    pub addr: SocketAddr,
    pub key: String,
    pub store: Store,
    key_id: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<bool>,
    _folder: TempDir,
}

impl Gate {
    pub async fn start() -> Self {
        Self::with("", &[]).await
    }

    /// With more configuration, and a key that has these budgets: resource, window and cap.
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    pub async fn with(settings: &str, budgets: &[(&str, &str, i64)]) -> Self {
        let mock = Mock::start().await.unwrap();
        let folder = TempDir::new().unwrap();
        let text = format!(
            "[store]\nurl = \"sqlite:{}\"\n\
             [[providers]]\nname = \"openai\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
             [[providers]]\nname = \"anthropic\"\nkind = \"anthropic\"\nbase_url = \"{}\"\n\
             [[prices]]\nmodel = \"openai/*\"\ninput = \"1\"\noutput = \"2\"\n{settings}",
            folder.path().join("books.db").display(),
            mock.base_url(),
            mock.url(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let store = open_store(&config, Patience::Command).await.unwrap();
        let issued = issue(&app, budgets).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        let key = issued.key.expose().clone();
        Self { mock, addr, key, store, key_id: issued.id, stop, running, _folder: folder }
    }

    pub async fn revoke(&self) {
        assert!(self.store.revoke_key(&self.key_id, SystemClock.now_ms()).await.unwrap());
    }

    /// Stops it as SIGTERM would. What comes of it is told by what is given back.
    pub fn stop(self) -> (Mock, impl Future<Output = bool>) {
        let Self { mock, stop, running, _folder: folder, .. } = self;
        drop(stop);
        let stopped = async move {
            let settled = tokio::time::timeout(SOON, running).await.unwrap().unwrap();
            drop(folder);
            settled
        };
        (mock, stopped)
    }
}

async fn issue(app: &App, budgets: &[(&str, &str, i64)]) -> IssuedKey {
    let user = UserRow {
        id: new_id(&SystemClock),
        name: "alice".to_owned(),
        role: Role::Member.as_str().to_owned(),
        time_zone: "UTC".to_owned(),
        permissions: "{}".to_owned(),
        created_ms: SystemClock.now_ms(),
        ..UserRow::default()
    };
    app.front.store.insert_user(&user, &[]).await.unwrap();
    let budgets = budgets.iter().map(|(resource, span, cap)| BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        resource: (*resource).to_owned(),
        span: (*span).to_owned(),
        cap: *cap,
        ..BudgetRow::default()
    });
    let order = KeyOrder {
        name: "test".to_owned(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: budgets.collect(),
    };
    issue_key(&app.front.store, &SystemClock, &user, order).await.unwrap()
}
