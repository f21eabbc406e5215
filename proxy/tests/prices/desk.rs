//! A server in this process over a mock upstream under two formats, with prices and a cost budget
//! of the test's own, and a look into its books.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};
use tollgate::{
    access::{KeyOrder, Permissions, Role, issue_key},
    app::{App, open_store},
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    serve,
    store::{BudgetRow, EntryRow, Patience, Store, UsageFilter, UserRow},
};
use tollgate_bench::{Mock, private::Database};

/// Which database.
#[derive(Clone, Copy, Debug)]
pub enum Books {
    Sqlite,
    Postgres,
}

/// The server. Dropping it stops it.
pub struct Desk {
    pub mock: Mock,
    /// The test's own access to the database.
    pub store: Store,
    pub config: Config,
    client: Client,
    url: String,
    key: String,
    _folder: TempDir,
    _database: Option<Database>,
    _stop: oneshot::Sender<()>,
}

impl Desk {
    /// With these `[[prices]]`, and a key that may spend so many nano-dollars in all.
    #[expect(clippy::disallowed_methods, reason = "the server's task lives outside of its Tasks")]
    pub async fn start(books: Books, prices: &str, cap: Option<i64>) -> Self {
        let mock = Mock::start().await.unwrap();
        let folder = TempDir::new().unwrap();
        let database = match books {
            Books::Sqlite => None,
            Books::Postgres => Some(Database::fresh().await.unwrap()),
        };
        let file = format!("sqlite:{}", folder.path().join("books.db").display());
        let text = format!(
            "[store]\nurl = \"{}\"\n\
             [[providers]]\nname = \"claude\"\nkind = \"anthropic\"\nbase_url = \"{}\"\n\
             [[providers]]\nname = \"gpt\"\nkind = \"openai\"\nbase_url = \"{}\"\n{prices}",
            database.as_ref().map_or(file, Database::url),
            mock.url(),
            mock.base_url(),
        );
        let config = Config::parse(Path::new("test.toml"), &text, &Environment::default()).unwrap();
        let app = App::build(&config, &Environment::default()).await.unwrap();
        let store = open_store(&config, Patience::Command).await.unwrap();
        let key = issue(&store, cap).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve::run(app, listener, async {
            drop(stopped.await);
        }));
        // Fails only where the process has chosen its cryptography already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder().tls_certs_only([]).build().unwrap();
        let (_folder, _database, _stop) = (folder, database, stop);
        Self { mock, store, config, client, url, key, _folder, _database, _stop }
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, String) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        let response = request.json(body).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// Asks the model behind Anthropic's format with a search of the provider's.
    pub async fn search(&self, words: &str) -> (StatusCode, String) {
        let tool = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 3});
        let body = json!({"model": "claude/m", "max_tokens": 50, "tools": [tool],
            "messages": [{"role": "user", "content": format!("hi [[mock {words}]]")}]});
        self.post("/v1/messages", &body).await
    }

    /// Asks the model behind OpenAI's format.
    pub async fn chat(&self, words: &str) -> (StatusCode, String) {
        let body = json!({"model": "gpt/m", "max_completion_tokens": 50, "stream": true,
            "messages": [{"role": "user", "content": format!("hi [[mock {words}]]")}]});
        self.post("/v1/chat/completions", &body).await
    }

    /// Every entry, the oldest first.
    pub async fn entries(&self) -> Vec<EntryRow> {
        let rows = self.store.usage_rows(&UsageFilter::default(), 1000).await.unwrap();
        rows.into_iter().rev().map(|named| named.entry).collect()
    }

    /// The newest entry.
    pub async fn entry(&self) -> EntryRow {
        self.entries().await.pop().unwrap()
    }
}

async fn issue(store: &Store, cap: Option<i64>) -> String {
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
    let budget = |cap| BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        resource: "cost".to_owned(),
        span: "total".to_owned(),
        cap,
        ..BudgetRow::default()
    };
    let order = KeyOrder {
        name: "test".to_owned(),
        role: Role::Member,
        permissions: Permissions::default(),
        rate_per_minute: None,
        expires_ms: None,
        budgets: cap.map(budget).into_iter().collect(),
    };
    issue_key(store, &SystemClock, &user, order).await.unwrap().key.expose().clone()
}
