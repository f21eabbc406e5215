//! A server without its sockets, on one of the databases: the path of a request, and people who
//! call.

use std::{path::Path, sync::Arc};
use tempfile::TempDir;
use tollgate::{
    access::{Caller, KeyOrder, Permissions, Role, issue_key},
    app::App,
    catalog::Catalog,
    clock::{Clock, SystemClock},
    config::{Config, Environment},
    ids::new_id,
    ingress::Front,
    store::{BudgetRow, KeyRow, Patience, Place, Store, UserRow},
};
use tollgate_bench::{
    AtOnce,
    private::{Database, Durability, Postgres},
};

/// Where the books are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Nothing is booked.
    Off,
    /// In a file.
    Sqlite,
    /// In a PostgreSQL on this machine that waits for its disk.
    Postgres,
}

impl Engine {
    /// All of them, the one that the others are compared with first.
    pub const ALL: [Self; 3] = [Self::Off, Self::Sqlite, Self::Postgres];

    /// What the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// So many keys with three budgets each; the first `callers` of them call.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// What the report calls it.
    pub name: &'static str,
    /// Keys that call.
    pub callers: usize,
    /// Keys in all.
    pub keys: usize,
}

/// A server without its sockets.
pub struct Books {
    /// Where its books are.
    pub engine: Engine,
    /// The path of a request.
    pub front: Arc<Front>,
    /// Who calls.
    pub callers: Vec<Arc<Caller>>,
    app: App,
    _folder: TempDir,
    _database: Option<Database>,
}

impl Books {
    /// Opens new books for a crowd.
    pub async fn open(engine: Engine, crowd: Crowd, server: &Postgres) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let database = match engine {
            Engine::Postgres => Some(Database::on(&server.url()).await.unwrap()),
            _ => None,
        };
        let url = match &database {
            Some(database) => database.url(),
            None => format!("sqlite:{}", folder.path().join("books.db").display()),
        };
        let config = configuration(engine, &url);
        let catalog = async { Ok(Catalog::of(&config, vec![Arc::new(AtOnce)]).await) };
        let app = App::around(&config, catalog).await.unwrap();
        let front = Arc::clone(&app.front);
        let store = store(&url).await;
        let callers = people(&front, &store, engine, crowd).await;
        store.close().await;
        Self { engine, front, callers, app, _folder: folder, _database: database }
    }

    /// Ends what runs behind.
    pub async fn close(self) {
        self.app.tasks.drain(std::time::Duration::from_secs(10)).await;
        self.front.store.close().await;
    }
}

fn configuration(engine: Engine, url: &str) -> Config {
    let text = format!(
        "[store]\nurl = \"{url}\"\n[ledger]\nenabled = {}\n[limits]\nmax_concurrent = 4096\n\
         [[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9\"\n\
         [[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n",
        engine != Engine::Off
    );
    Config::parse(Path::new("bench.toml"), &text, &Environment::default()).unwrap()
}

async fn store(url: &str) -> Store {
    let place = match url.strip_prefix("sqlite:") {
        Some(path) => Place::File(path.into()),
        None => Place::Server { url: url.to_owned(), connections: 2 },
    };
    Store::open(place, Patience::Command).await.unwrap()
}

async fn people(front: &Front, store: &Store, engine: Engine, crowd: Crowd) -> Vec<Arc<Caller>> {
    let user = UserRow {
        id: new_id(&SystemClock),
        name: "bench".to_owned(),
        role: "member".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        permissions: "{}".to_owned(),
        created_ms: SystemClock.now_ms(),
        ..UserRow::default()
    };
    store.insert_user(&user, &[]).await.unwrap();
    let budgets = || if engine == Engine::Off { Vec::new() } else { budgets() };
    let mut callers = Vec::with_capacity(crowd.callers);
    for _ in 0..crowd.callers {
        let order = KeyOrder {
            name: "bench".to_owned(),
            role: Role::Member,
            permissions: Permissions::default(),
            rate_per_minute: None,
            expires_ms: None,
            budgets: budgets(),
        };
        let key = issue_key(store, &SystemClock, &user, order).await.unwrap();
        callers.push(front.access.authenticate(Some(key.key.expose())).await.unwrap());
    }
    for _ in crowd.callers..crowd.keys {
        idle_key(store, &user, budgets()).await;
    }
    callers
}

fn budgets() -> Vec<BudgetRow> {
    let budget = |resource: &str| BudgetRow {
        id: new_id(&SystemClock),
        owner_kind: "key".to_owned(),
        resource: resource.to_owned(),
        span: "month".to_owned(),
        cap: i64::MAX / 4,
        ..BudgetRow::default()
    };
    vec![budget("cost"), budget("tokens"), budget("requests")]
}

/// A key that nobody calls with: its secret is the hash of nothing.
async fn idle_key(store: &Store, user: &UserRow, mut budgets: Vec<BudgetRow>) {
    let row = KeyRow {
        id: new_id(&SystemClock),
        user_id: user.id.clone(),
        name: "idle".to_owned(),
        role: "member".to_owned(),
        permissions: "{}".to_owned(),
        created_ms: SystemClock.now_ms(),
        ..KeyRow::default()
    };
    budgets.iter_mut().for_each(|budget| budget.owner_id.clone_from(&row.id));
    store.insert_key(&row, &budgets).await.unwrap();
}

/// A PostgreSQL that waits for its disk, as one that holds money must.
pub async fn durable_server() -> Postgres {
    Postgres::start(Durability::Disk).await.unwrap()
}
