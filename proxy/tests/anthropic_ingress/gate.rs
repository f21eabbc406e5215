//! A server in this process on a free port, a mock upstream behind it under two formats, and a key
//! that may do everything.

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use std::path::Path;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::App,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    serve,
    store::UserRow,
};
use tollgate_bench::Mock;

/// The server. Dropping it stops it.
pub struct Gate {
    pub mock: Mock,
    client: Client,
    url: String,
    key: String,
    _folder: TempDir,
    _stop: oneshot::Sender<()>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Gate {
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    pub async fn start() -> Self {
        let mock = Mock::start().await.unwrap();
        let folder = TempDir::new().unwrap();
        let text = format!(
            "[store]\nurl = \"sqlite:{}\"\n\
             [[providers]]\nname = \"anthropic\"\nkind = \"anthropic\"\nbase_url = \"{}\"\n\
             [[providers]]\nname = \"openai\"\nkind = \"openai\"\nbase_url = \"{}\"\n",
            folder.path().join("books.db").display(),
            mock.url(),
            mock.base_url(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let key = issue(&app).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        // Fails only where the process has chosen its cryptography already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().tls_certs_only([]).build().unwrap();
        Self { mock, client, url, key, _folder: folder, _stop: stop }
    }

    /// As Anthropic's clients do.
    pub async fn send(&self, method: Method, path: &str, body: String) -> Reply {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let request =
            request.header("x-api-key", &self.key).header("anthropic-version", "2023-06-01");
        read(request.header("anthropic-beta", "some-beta").body(body)).await
    }

    /// As clients of other vendors do.
    pub async fn foreign(&self, method: Method, path: &str, body: String) -> Reply {
        let request = self.client.request(method, format!("{}{path}", self.url));
        read(request.bearer_auth(&self.key).body(body)).await
    }

    /// As somebody without a key.
    pub async fn stranger(&self, method: Method, path: &str) -> Reply {
        read(self.client.request(method, format!("{}{path}", self.url)).body("{}")).await
    }
}

async fn read(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Reply { status, headers, body: response.text().await.unwrap() }
}

async fn issue(app: &App) -> String {
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
    let order = KeyOrder {
        name: "test".to_owned(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: Vec::new(),
    };
    let issued = issue_key(&app.front.store, &SystemClock, &user, order).await.unwrap();
    issued.key.expose().clone()
}
