//! A server in this process with both of its listeners, and a mock upstream behind it.

use crate::raw::Raw;
use std::path::Path;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::App,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    serve::{self, Listeners},
    store::{Store, UserRow},
};
use tollgate_bench::Mock;
use tollgate_client::{Builder, RemoteProvider, RetryPolicy, TransportKind};
use tollgate_types::{GenerateRequest, Message};

/// The server. Dropping it stops it.
pub struct Gate {
    pub mock: Mock,
    pub http: String,
    pub grpc: String,
    /// A key that nothing limits.
    pub key: String,
    pub store: Store,
    _folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<bool>,
}

impl Gate {
    pub async fn open() -> Self {
        Self::with("").await
    }

    /// With more in the configuration.
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    pub async fn with(more: &str) -> Self {
        // Fails only where the process has chosen its cryptography already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mock = Mock::start().await.unwrap();
        let folder = TempDir::new().unwrap();
        let text = format!(
            "[store]\nurl = \"sqlite:{}\"\n{more}\n\
             [[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
             [[providers]]\nname = \"claude\"\nkind = \"anthropic\"\nbase_url = \"{}\"\n",
            folder.path().join("t.db").display(),
            mock.base_url(),
            mock.url(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let store = app.front.store.clone();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (http_url, grpc_url) = (url(&http), url(&grpc));
        let (stop, stopped) = oneshot::channel();
        let listeners = Listeners { http, grpc: Some(grpc) };
        let served = tokio::spawn(serve::run(app, listeners, async {
            drop(stopped.await);
        }));
        let key = key(&store, None).await;
        let (http, grpc, stop) = (http_url, grpc_url, Some(stop));
        Self { mock, http, grpc, key, store, _folder: folder, stop, served }
    }

    /// Text of a new key, which may make so many requests a minute.
    pub async fn limited_key(&self, per_minute: u32) -> String {
        key(&self.store, Some(per_minute)).await
    }

    pub fn raw(&self) -> Raw {
        Raw::new(&self.grpc, &self.key)
    }

    pub fn builder(&self) -> Builder {
        let retry = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
        RemoteProvider::builder().server(&self.http).api_key(&self.key).retry(retry)
    }

    pub fn over_http(&self) -> RemoteProvider {
        self.builder().build().unwrap()
    }

    pub fn over_grpc(&self) -> RemoteProvider {
        let builder = self.builder().transport(TransportKind::Grpc).grpc_server(&self.grpc);
        builder.build().unwrap()
    }

    /// Begins to stop the server.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for the server's end; whether everything was settled.
    pub async fn ended(mut self) -> bool {
        self.stop();
        (&mut self.served).await.unwrap()
    }
}

async fn key(store: &Store, rate_per_minute: Option<u32>) -> String {
    let user = UserRow {
        id: new_id(&SystemClock),
        name: new_id(&SystemClock),
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
        rate_per_minute,
        expires_ms: None,
        budgets: Vec::new(),
    };
    issue_key(store, &SystemClock, &user, order).await.unwrap().key.expose().clone()
}

/// Asks the mock for what its words say.
pub fn asking(words: &str) -> GenerateRequest {
    GenerateRequest::new("mock/echo", vec![Message::user(words)])
}
