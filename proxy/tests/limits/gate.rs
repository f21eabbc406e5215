//! A server in this process on a free port, with a mock upstream behind it, and people whose calls
//! can be limited.

use reqwest::{Client, header::HeaderMap};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};
use tollgate::{
    access::{KeyOrder, Permissions, Role, draw_secret, issue_key},
    app::App,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    serve,
    store::{KeyRow, LimitRow, Store, UserRow},
};
use tollgate_bench::Mock;

/// The server. Dropping it stops it.
pub struct Gate {
    pub client: Client,
    pub url: String,
    pub store: Store,
    _folder: TempDir,
    _stop: oneshot::Sender<()>,
}

fn order() -> KeyOrder {
    KeyOrder {
        name: "test".to_owned(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: Vec::new(),
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Gate {
    pub async fn over(mock: &Mock) -> Self {
        Self::with(mock, "").await
    }

    /// With more in the configuration; the books are in a file unless it says where.
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    pub async fn with(mock: &Mock, more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let file = format!("[store]\nurl = \"sqlite:{}\"\n", folder.path().join("t.db").display());
        let text = format!(
            "{store}{more}[[providers]]\nname = \"openai\"\nkind = \"openai\"\nbase_url = \"{base}\"\n\
             [[providers]]\nname = \"other\"\nkind = \"openai\"\nbase_url = \"{base}\"\n",
            store = if more.contains("[store]") { "" } else { &file },
            base = mock.base_url(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let store = app.front.store.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        // Fails only where the process has chosen its cryptography already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().tls_certs_only([]).build().unwrap();
        Self { client, url, store, _folder: folder, _stop: stop }
    }

    /// A user of this name.
    pub async fn user(&self, name: &str) -> UserRow {
        let user = UserRow {
            id: new_id(&SystemClock),
            name: name.to_owned(),
            role: Role::Member.as_str().to_owned(),
            time_zone: "UTC".to_owned(),
            permissions: "{}".to_owned(),
            created_ms: SystemClock.now_ms(),
            ..UserRow::default()
        };
        self.store.insert_user(&user, &[]).await.unwrap();
        user
    }

    /// Id and text of a new key of a user.
    pub async fn key(&self, user: &UserRow) -> (String, String) {
        let issued = issue_key(&self.store, &SystemClock, user, order()).await.unwrap();
        (issued.id, issued.key.expose().clone())
    }

    /// As [`Gate::key`], delegated from another.
    pub async fn delegated(&self, user: &UserRow, parent: &str) -> (String, String) {
        let (other, _) = self.key(user).await;
        let like = self.store.account(&other).await.unwrap().unwrap().key;
        let id = new_id(&SystemClock);
        let (text, secret_hash) = draw_secret(&id).await.unwrap();
        let row =
            KeyRow { id: id.clone(), secret_hash, parent_id: Some(parent.to_owned()), ..like };
        self.store.insert_key(&row, &[]).await.unwrap();
        (id, text.expose().clone())
    }

    /// A key of somebody whom nothing limits.
    pub async fn any_key(&self) -> String {
        let name = new_id(&SystemClock);
        self.key(&self.user(&name).await).await.1
    }

    /// Limits an owner; the rest is as in `allowed`.
    pub async fn limit(&self, (kind, owner): (&str, &str), allowed: LimitRow) -> String {
        let id = new_id(&SystemClock);
        let row = LimitRow {
            id: id.clone(),
            owner_kind: kind.to_owned(),
            owner_id: owner.to_owned(),
            created_ms: SystemClock.now_ms(),
            ..allowed
        };
        let mut change = self.store.change().await.unwrap();
        change.insert_limit(&row).await.unwrap();
        change.commit().await.unwrap();
        id
    }

    pub async fn post(&self, key: &str, path: &str, body: &Value) -> Reply {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(key);
        let response = request.body(body.to_string()).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, body: response.text().await.unwrap() }
    }

    /// Asks a model in OpenAI's words.
    pub async fn ask(&self, key: &str, model: &str) -> Reply {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "a b"}]});
        self.post(key, "/v1/chat/completions", &body).await
    }

    /// A stream that has begun and says no more.
    pub async fn stalled(&self, key: &str) -> reqwest::Response {
        let body = json!({"model": "openai/mock-stall=2", "stream": true,
            "messages": [{"role": "user", "content": "a b"}]});
        let request = self.client.post(format!("{}/v1/chat/completions", self.url));
        let mut response = request.bearer_auth(key).body(body.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.chunk().await.unwrap().is_some());
        response
    }
}
