//! A server in this process on a free port, a mock upstream behind it, and an administrator's key.

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::oneshot};
use tollgate::{
    access::{Permissions, Role},
    admin::{Actor, Mandate, Office, UserOrder},
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

/// How long tests wait for what must happen soon. Only failing tests wait that long.
pub const SOON: Duration = Duration::from_secs(20);

/// The server. Dropping it stops it.
pub struct Gate {
    pub mock: Mock,
    pub store: Store,
    /// The administrator's key.
    pub key: String,
    pub key_id: String,
    client: Client,
    url: String,
    _stop: oneshot::Sender<()>,
    _home: Home,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub text: String,
}

impl Reply {
    /// The body of an answer with this status.
    #[track_caller]
    pub fn body(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

impl Gate {
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    pub async fn on(kind: Kind) -> Self {
        let (mock, home) = (Mock::start().await.unwrap(), Home::fresh(kind).await.unwrap());
        let text = format!(
            "[store]\nurl = \"{}\"\n\
             [[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
             headers = {{ \"x-planted\" = \"p4ss-header\" }}\n\
             [[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n",
            home.url(),
            mock.base_url(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let store = app.front.store.clone();
        let (key_id, key) = administrator(&store).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        // Fails only where the process has chosen its cryptography already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().tls_certs_only([]).build().unwrap();
        Self { mock, store, key, key_id, client, url, _stop: stop, _home: home }
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// As the administrator, below `/api/v1/admin`.
    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> Reply {
        let request = self.request(method, &format!("/api/v1/admin{path}"));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        read(request.bearer_auth(&self.key).body(body)).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, &Value::Null).await.body(200)
    }

    /// A member with a key; returns the key's answer.
    pub async fn member(&self, name: &str, key: Value) -> Value {
        self.ask("POST", "/users", &json!({"name": name})).await.body(201);
        let mut order = json!({"user": name});
        order.as_object_mut().unwrap().extend(key.as_object().unwrap().clone());
        self.ask("POST", "/keys", &order).await.body(201)
    }

    /// A call to the mock, with somebody's key.
    pub fn call(&self, key: &Value, words: &str, streamed: bool) -> RequestBuilder {
        let body = json!({
            "model": format!("mock/mock-{words}"), "stream": streamed, "max_tokens": 100,
            "messages": [{"role": "user", "content": "one two three"}],
        });
        let request = self.request("POST", "/v1/chat/completions");
        request.bearer_auth(key["key"].as_str().unwrap()).body(body.to_string())
    }

    /// Waits until nothing is held any more.
    pub async fn nothing_held(&self) {
        let empty = async {
            while !self.get("/holds").await["holds"].as_array().unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, empty).await.expect("something is held");
    }
}

pub async fn read(request: RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply { status: response.status(), text: response.text().await.unwrap() }
}

async fn administrator(store: &Store) -> (String, String) {
    let office = Office::new(store.clone(), Arc::new(SystemClock));
    let mandate = Mandate::of(Actor::shell("root"));
    let order = UserOrder {
        name: "root".to_owned(),
        role: Role::Admin,
        time_zone: "UTC".to_owned(),
        permissions: Permissions::default(),
        budgets: Vec::new(),
    };
    office.create_user(&mandate, order).await.unwrap();
    let order = serde_json::from_value(json!({"user": "root", "role": "admin"})).unwrap();
    let issued = office.create_key(&mandate, order).await.unwrap();
    (issued.made.view.id, issued.key.unwrap().expose().clone())
}
