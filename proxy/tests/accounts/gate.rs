//! Servers over one set of books, on either engine, with a mock upstream behind them.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::oneshot};
use tollgate::{
    admin::{Actor, Mandate, Office},
    app::App,
    clock::SystemClock,
    config::{Config, Environment},
    serve,
    store::Store,
};
use tollgate_bench::{
    Mock,
    private::{Home, Kind},
};

/// The servers: one over SQLite, two over PostgreSQL. Dropping it stops them.
pub struct Gate {
    pub mock: Mock,
    pub store: Store,
    pub office: Office,
    client: Client,
    urls: Vec<String>,
    _home: Home,
    _stops: Vec<oneshot::Sender<()>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub body: Value,
}

fn operator() -> Mandate {
    Mandate::of(Actor::shell("test"))
}

impl Gate {
    pub async fn start(kind: Kind) -> Self {
        Self::with(kind, "").await
    }

    /// With more lines of configuration.
    #[expect(clippy::disallowed_methods, reason = "the servers' tasks live outside of their Tasks")]
    pub async fn with(kind: Kind, more: &str) -> Self {
        let (mock, home) = (Mock::start().await.unwrap(), Home::fresh(kind).await.unwrap());
        let text = format!(
            "[store]\nurl = \"{}\"\nconnections = 4\n\
             [[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
             [[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n{more}",
            home.url(),
            mock.base_url(),
        );
        let environment = Environment::of([("HOOK_SECRET", "hush")]);
        let config = Config::parse(Path::new("test.toml"), &text, &environment).unwrap();
        let (mut urls, mut stops, mut store) = (Vec::new(), Vec::new(), None);
        for _ in 0..if kind == Kind::Sqlite { 1 } else { 2 } {
            let app = App::build(&config, &environment).await.unwrap();
            store = Some(app.front.store.clone());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            urls.push(format!("http://{}", listener.local_addr().unwrap()));
            let (stop, stopped) = oneshot::channel();
            stops.push(stop);
            tokio::spawn(serve::run(app, listener, async {
                drop(stopped.await);
            }));
        }
        // Fails only where the process has chosen its cryptography already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().tls_certs_only([]).build().unwrap();
        let store = store.unwrap();
        let office = Office::new(store.clone(), Arc::new(SystemClock));
        Self { mock, store, office, client, urls, _home: home, _stops: stops }
    }

    /// Makes a key of a user's; returns its id and its text.
    pub async fn key(&self, order: Value) -> (String, String) {
        let order = serde_json::from_value(order).unwrap();
        let issued = self.office.create_key(&operator(), order).await.unwrap();
        (issued.made.view.id, issued.key.unwrap().expose().clone())
    }

    pub async fn user(&self, order: Value) {
        let order = serde_json::from_value(order).unwrap();
        self.office.create_user(&operator(), order).await.unwrap();
    }

    pub async fn budget(&self, order: Value) {
        let order = serde_json::from_value(order).unwrap();
        self.office.create_budget(&operator(), order).await.unwrap();
    }

    /// A request to one of the servers, in turn by `server`.
    pub fn request(&self, server: usize, method: Method, path: &str, key: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.urls[server % self.urls.len()]);
        self.client.request(method, url).bearer_auth(key)
    }

    pub async fn delegate(&self, key: &str, order: Value) -> Reply {
        read(self.request(0, Method::POST, "/api/v1/auth/delegate", key).body(order.to_string()))
            .await
    }

    /// A call to a model: five tokens in the answer.
    pub async fn call(&self, server: usize, key: &str) -> Reply {
        let body = json!({
            "model": "mock/mock-tokens=5",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "go"}]}],
            "sampling": {"max_output_tokens": 20}
        });
        read(self.request(server, Method::POST, "/api/v1/generate", key).body(body.to_string()))
            .await
    }
}

pub async fn read(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    Reply { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
}

/// Asks again until there is an answer.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..2_000 {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("this did not happen: {what}");
}
