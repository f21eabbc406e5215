//! A server in this process on a free port that counts what it is asked, a mock upstream behind it,
//! and keys.

use axum::{
    extract::Request,
    middleware::{self, Next},
};
use reqwest::Client;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinSet};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::App,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    ingress,
    store::{Store, UserRow},
};
use tollgate_bench::{
    Mock,
    private::{Home, Kind},
};
use tollgate_client::{Builder, RemoteProvider};
use tollgate_types::wire::path;

/// How long tests wait for what must happen soon. Only failing tests wait that long.
pub const SOON: Duration = Duration::from_secs(20);

/// How often each path was answered with each status.
type Counts = Arc<Mutex<BTreeMap<(String, u16), u64>>>;

/// The server. Dropping it stops it.
pub struct Gate {
    pub store: Store,
    pub url: String,
    pub client: Client,
    counts: Counts,
    _mock: Arc<Mock>,
    _server: JoinSet<()>,
}

/// A key: its id and its text.
pub struct Key {
    pub id: String,
    pub text: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub text: String,
    pub headers: reqwest::header::HeaderMap,
}

impl Reply {
    #[track_caller]
    pub fn body(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    #[track_caller]
    pub fn assert_error(&self, status: u16, code_or_param: &str) {
        let body = self.body(status);
        let said = [&body["error"]["code"], &body["error"]["param"]];
        assert!(said.contains(&&json!(code_or_param)), "{code_or_param} is not in {body}");
    }
}

/// Several servers over the same books.
pub async fn servers<const N: usize>(kind: Kind, tokens: &str) -> (Home, [Gate; N]) {
    let home = Home::fresh(kind).await.unwrap();
    let mock = Arc::new(Mock::start().await.unwrap());
    let mut gates = Vec::new();
    for _ in 0..N {
        gates.push(Gate::over(&home, &mock, tokens).await);
    }
    (home, gates.try_into().unwrap_or_else(|_| unreachable!()))
}

/// One server over a file.
pub async fn server(tokens: &str) -> (Home, Gate) {
    let (home, [gate]) = servers(Kind::Sqlite, tokens).await;
    (home, gate)
}

impl Gate {
    async fn over(home: &Home, mock: &Arc<Mock>, tokens: &str) -> Self {
        let text = format!(
            "[store]\nurl = \"{}\"\nconnections = 4\n[tokens]\n{tokens}\n\
             [[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
             [[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n",
            home.url(),
            mock.base_url(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let store = app.front.store.clone();
        let counts = Counts::default();
        let counted = Arc::clone(&counts);
        let count = move |request: Request, next: Next| {
            let counts = Arc::clone(&counted);
            async move {
                let path = request.uri().path().to_owned();
                let response = next.run(request).await;
                let status = response.status().as_u16();
                *counts.lock().unwrap().entry((path, status)).or_default() += 1;
                response
            }
        };
        let router = ingress::router(Arc::clone(&app.front)).layer(middleware::from_fn(count));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let _app = app;
            axum::serve(listener, router).await.unwrap();
        });
        // Fails only where the process has chosen its cryptography already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().tls_certs_only([]).build().unwrap();
        Self { store, url, client, counts, _mock: Arc::clone(mock), _server: server }
    }

    /// A new user's key.
    pub async fn key(&self) -> Key {
        self.key_of(Role::Member).await
    }

    pub async fn key_of(&self, role: Role) -> Key {
        let user = UserRow {
            id: new_id(&SystemClock),
            name: new_id(&SystemClock),
            role: role.as_str().to_owned(),
            time_zone: "UTC".to_owned(),
            permissions: "{}".to_owned(),
            created_ms: SystemClock.now_ms(),
            ..UserRow::default()
        };
        self.store.insert_user(&user, &[]).await.unwrap();
        let order = KeyOrder {
            name: "test".to_owned(),
            role,
            permissions: Permissions::default(),
            rate_per_minute: None,
            expires_ms: None,
            budgets: Vec::new(),
        };
        let issued = issue_key(&self.store, &SystemClock, &user, order).await.unwrap();
        Key { id: issued.id, text: issued.key.expose().clone() }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, text: response.text().await.unwrap() }
    }

    pub async fn post(&self, credential: &str, path: &str, body: impl Into<String>) -> Reply {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(credential);
        self.send(request.body(body.into())).await
    }

    pub async fn get(&self, credential: &str, path: &str) -> Reply {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(credential);
        self.send(request).await
    }

    /// A token for a key.
    pub async fn token(&self, key: &Key) -> String {
        let grant = self.post(&key.text, path::TOKEN, "").await.body(200);
        grant["token"].as_str().unwrap().to_owned()
    }

    /// A client of this server.
    pub fn remote(&self, build: impl FnOnce(Builder) -> Builder) -> RemoteProvider {
        build(RemoteProvider::builder().server(&self.url).no_proxy()).build().unwrap()
    }

    /// How often a path was answered with a status.
    pub fn count(&self, path: &str, status: u16) -> u64 {
        let counts = self.counts.lock().unwrap();
        counts.get(&(path.to_owned(), status)).copied().unwrap_or_default()
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.counts.lock().unwrap().values().sum()
    }

    /// Ends every token, and waits until this server has noticed.
    pub async fn end_tokens(&self) {
        let witness = self.token(&self.key().await).await;
        let mut change = self.store.change().await.unwrap();
        change.end_token_keys().await.unwrap();
        change.commit().await.unwrap();
        self.refused(&witness, "token_expired").await;
    }

    /// Waits until a credential is refused, for this reason.
    pub async fn refused(&self, credential: &str, code: &str) {
        let refused = async {
            loop {
                let reply = self.get(credential, path::BUDGETS).await;
                if reply.status != 200 {
                    return reply.assert_error(401, code);
                }
            }
        };
        tokio::time::timeout(SOON, refused).await.expect("it is still accepted");
    }
}
