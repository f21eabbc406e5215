//! A server in this process on a free port, with a mock upstream behind it, and clients that lose
//! their connections.

use reqwest::{Client, Method, Response, header::HeaderMap};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::App,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    serve,
    store::{Store, UserRow},
};
use tollgate_bench::Mock;
use tollgate_types::SseDecoder;

/// No test waits longer for anything.
pub const SOON: Duration = Duration::from_secs(20);

/// The server. Dropping it stops it.
pub struct Gate {
    pub client: Client,
    pub url: String,
    pub store: Store,
    stop: oneshot::Sender<()>,
    running: JoinHandle<bool>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.text().await.unwrap() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Number and JSON of each event.
    pub fn events(&self) -> Vec<(u64, Value)> {
        let mut decoder = SseDecoder::default();
        decoder.push(self.body.as_bytes()).unwrap();
        std::iter::from_fn(|| decoder.next_numbered()).map(read).collect()
    }

    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.json()["error"]["code"], code, "{}", self.body);
    }
}

fn read((number, data): (Option<u64>, Vec<u8>)) -> (u64, Value) {
    (number.unwrap(), serde_json::from_slice(&data).unwrap())
}

/// A stream that is read piece by piece. Dropping it breaks the connection.
pub struct Open {
    pub id: String,
    response: Response,
    decoder: SseDecoder,
}

impl Open {
    pub async fn to(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let status = response.status();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(status, 200, "{}", response.text().await.unwrap());
        Self { id, response, decoder: SseDecoder::default() }
    }

    /// The next event; `None` when the connection ends.
    pub async fn next(&mut self) -> Option<(u64, Value)> {
        loop {
            if let Some(event) = self.decoder.next_numbered() {
                return Some(read(event));
            }
            let chunk =
                tokio::time::timeout(SOON, self.response.chunk()).await.unwrap().unwrap()?;
            self.decoder.push(&chunk).unwrap();
        }
    }

    pub async fn take(&mut self, count: usize) -> Vec<(u64, Value)> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next().await.unwrap());
        }
        events
    }

    pub async fn rest(&mut self) -> Vec<(u64, Value)> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

impl Gate {
    pub async fn start(mock: &Mock, store: &str, more: &str) -> Self {
        let text = format!(
            "[store]\nurl = \"{store}\"\n{more}\n[[providers]]\nname = \"mock\"\nkind = \"openai\"\n\
             base_url = \"{}\"\n",
            mock.base_url(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        Self::of(App::build(&config, &Environment::default()).await.unwrap()).await
    }

    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    async fn of(app: App) -> Self {
        let store = app.front.store.clone();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        // Fails only where the process has chosen its cryptography already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().tls_certs_only([]).build().unwrap();
        Self { client, url, store, stop, running }
    }

    /// Stops it as SIGTERM would.
    pub async fn stop(self) {
        drop(self.stop);
        let done = tokio::time::timeout(SOON, self.running).await.unwrap().unwrap();
        assert!(done, "something was left when it stopped");
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

    /// A new key of a user, and its id.
    pub async fn key(&self, user: &UserRow) -> (String, String) {
        self.key_that_may(user, Permissions::default()).await
    }

    /// As [`Gate::key`], for somebody who may only do this.
    pub async fn key_that_may(&self, user: &UserRow, permissions: Permissions) -> (String, String) {
        let order = KeyOrder {
            name: "test".to_owned(),
            role: Role::Member,
            permissions,
            rate_per_minute: None,
            expires_ms: None,
            budgets: Vec::new(),
        };
        let issued = issue_key(&self.store, &SystemClock, user, order).await.unwrap();
        (issued.key.expose().clone(), issued.id)
    }

    pub async fn any_key(&self) -> String {
        let name = new_id(&SystemClock);
        self.key(&self.user(&name).await).await.0
    }

    pub fn request(&self, method: Method, path: &str, key: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(key)
    }

    /// Asks a model of the mock, under an idempotency key.
    pub fn ask(&self, key: &str, path: &str, once: &str, model: &str) -> reqwest::RequestBuilder {
        let body = json!({"model": format!("mock/mock-{model}"), "messages":
            [{"role": "user", "content": [{"type": "text", "text": "a b"}]}]});
        let request = self.request(Method::POST, path, key).header("idempotency-key", once);
        request.header("content-type", "application/json").body(body.to_string())
    }

    pub fn stream(&self, key: &str, once: &str, model: &str) -> reqwest::RequestBuilder {
        self.ask(key, "/api/v1/stream", once, model)
    }

    /// Has texts of the mock turned into vectors, under an idempotency key.
    pub fn embed(&self, key: &str, once: &str, texts: &[&str]) -> reqwest::RequestBuilder {
        self.embed_by("mock/mock-e", (key, once), texts)
    }

    /// The same, of another model.
    pub fn embed_by(
        &self,
        model: &str,
        (key, once): (&str, &str),
        texts: &[&str],
    ) -> reqwest::RequestBuilder {
        let body = json!({"model": model, "input": texts});
        let request = self.request(Method::POST, "/api/v1/embed", key);
        request.header("idempotency-key", once).body(body.to_string())
    }

    /// A key that this key delegates to.
    pub async fn delegated(&self, key: &str) -> String {
        let request = self.request(Method::POST, "/api/v1/auth/delegate", key);
        let made = Reply::to(request.body("{}")).await;
        assert!(made.status < 300, "{}", made.body);
        made.json()["key"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, key: &str, path: &str) -> Reply {
        Reply::to(self.request(Method::GET, path, key)).await
    }

    pub async fn cancel(&self, key: &str, run: &str) -> Reply {
        Reply::to(self.request(Method::DELETE, &format!("/api/v1/runs/{run}"), key)).await
    }

    pub async fn status(&self, key: &str, run: &str) -> Value {
        let reply = self.get(key, &format!("/api/v1/runs/{run}")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    /// The state of a run, once it is no longer running.
    pub async fn ended(&self, key: &str, run: &str) -> String {
        let ended = async {
            loop {
                let state = self.status(key, run).await["state"].as_str().unwrap().to_owned();
                if state != "running" {
                    return state;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, ended).await.unwrap()
    }

    /// How many calls of a key's owner are booked.
    pub async fn booked(&self, key: &str) -> u64 {
        let report = self.get(key, "/api/v1/usage").await.json();
        report["total"]["requests"].as_u64().unwrap_or_else(|| panic!("{report}"))
    }
}
