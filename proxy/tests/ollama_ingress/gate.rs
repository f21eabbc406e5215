//! A server in this process on a free port, a mock upstream behind it under several formats, and a
//! key that may do everything.

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use std::path::Path;
use tokio::{net::TcpListener, sync::oneshot};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::App,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    serve,
    store::{BudgetRow, UserRow},
};
use tollgate_bench::{
    Mock,
    private::{Home, Kind},
};

/// The server. Dropping it stops it.
pub struct Gate {
    pub mock: Mock,
    pub client: Client,
    pub url: String,
    pub key: String,
    _stop: oneshot::Sender<()>,
    _home: Home,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Gate {
    pub async fn start() -> Self {
        Self::with(Vec::new()).await
    }

    /// With these budgets of the key.
    pub async fn with(budgets: Vec<BudgetRow>) -> Self {
        Self::on(Kind::Sqlite, budgets, "").await
    }

    /// With the books on that engine, and with further settings.
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    pub async fn on(kind: Kind, budgets: Vec<BudgetRow>, settings: &str) -> Self {
        let mock = Mock::start().await.unwrap();
        let home = Home::fresh(kind).await.unwrap();
        let text = format!(
            "{settings}\n[store]\nurl = \"{}\"\n\
             [[providers]]\nname = \"ollama\"\nkind = \"ollama\"\nbase_url = \"{host}\"\n\
             [[providers]]\nname = \"openai\"\nkind = \"openai\"\nbase_url = \"{base}\"\n\
             [[providers]]\nname = \"responses\"\nkind = \"openai\"\nbase_url = \"{base}\"\n\
             api = \"responses\"\n\
             [[providers]]\nname = \"both\"\nkind = \"openai\"\nbase_url = \"{base}\"\n\
             api = \"both\"\n\
             [[providers]]\nname = \"anthropic\"\nkind = \"anthropic\"\nbase_url = \"{base}\"\n\
             [[providers]]\nname = \"google\"\nkind = \"google\"\nbase_url = \"{host}\"\n",
            home.url(),
            host = mock.url(),
            base = mock.base_url(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let key = issue(&app, budgets).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        // Fails only where the process has chosen its cryptography already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().tls_certs_only([]).build().unwrap();
        Self { mock, client, url, key, _stop: stop, _home: home }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> Reply {
        let request = self.client.request(method, format!("{}{path}", self.url));
        read(request.bearer_auth(&self.key).body(body.unwrap_or_default())).await
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

async fn issue(app: &App, budgets: Vec<BudgetRow>) -> String {
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
        budgets,
    };
    let issued = issue_key(&app.front.store, &SystemClock, &user, order).await.unwrap();
    issued.key.expose().clone()
}
