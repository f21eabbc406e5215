//! An installation on PostgreSQL with a team, two users and their keys, over a mock upstream.

use super::{Books, Install, Key, PATIENCE, Told, agrees, mock_provider, until};
use std::path::PathBuf;
use tollgate_bench::Mock;

/// What callers of a [`super::Fleet`] share: budgets of a team, of users and of keys.
#[derive(Debug)]
pub struct Firm {
    /// The upstream of all servers.
    pub mock: Mock,
    /// The servers' configuration.
    pub install: Install,
    /// The books.
    pub books: Books,
    /// Two keys of either user.
    pub keys: Vec<Key>,
}

impl Firm {
    /// On an empty PostgreSQL database, to which `seen` is the way that the servers take.
    pub async fn on(url: &str, seen: &str) -> Self {
        let mock = Mock::start().await.unwrap();
        let install = Install::on_postgres(seen, &mock_provider(&mock));
        let keys = people(&install).await;
        let books = Books::of_postgres(url).await;
        books.run(TEAM).await;
        Self { mock, install, books, keys }
    }

    /// In a file.
    pub async fn in_file() -> Self {
        let mock = Mock::start().await.unwrap();
        let install = Install::new(&mock_provider(&mock));
        let keys = people(&install).await;
        let books = Books::of_file(&install).await;
        books.run(TEAM).await;
        Self { mock, install, books, keys }
    }

    /// Sets the team's cap so far above what it has spent and holds.
    pub async fn allow(&self, nano_usd: i64) {
        self.books.allow("b", nano_usd).await;
    }

    /// Asserts, once nothing is held any more, that the books fit everything that was told.
    pub async fn check(&self, told: &[Told]) {
        until("every hold has ended", PATIENCE, async || self.books.open_holds().await == 0).await;
        self.books.balance().await;
        let entries = self.books.entries().await;
        agrees(&self.mock, told, &entries, &self.install.rows().await);
    }

    /// Says on a failure what is needed to find out.
    pub fn witness(&self, seed: u64) -> Witness {
        Witness { seed, log: self.install.path("serve.log") }
    }
}

const TEAM: &str = "
    insert into teams (id, name, time_zone, created_ms) values ('t', 't', 'UTC', 0);
    update users set team_id = 't';
    insert into budgets (id, owner_kind, owner_id, owner_name, resource, span, cap, created_ms)
    values ('b', 'team', 't', 't', 'cost', 'total', 9000000000, 0),
           ('c', 'team', 't', 't', 'requests', 'total', 100000, 0)";

async fn people(install: &Install) -> Vec<Key> {
    let mut keys = Vec::new();
    for name in ["alice", "bob"] {
        install.user(name).await;
        let budget = ["budgets", "create", "--user", name, "tokens=400000/total"];
        install.tollgate(&budget).await.printed();
        keys.push(install.key(name, &["--budget", "cost=9usd/total"]).await);
        keys.push(install.key(name, &["--budget", "requests=50000/total"]).await);
    }
    keys
}

/// Prints the seed and what the servers said when the test fails.
#[derive(Debug)]
pub struct Witness {
    /// What all chance of the test comes from: `TOLLGATE_TEST_SEED`, or a new one.
    pub seed: u64,
    log: PathBuf,
}

impl Drop for Witness {
    #[expect(clippy::print_stderr, reason = "who reads of a failure wants to find out")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let noise = ["call ended", "request answered"];
            let told = |line: &&str| !noise.iter().any(|noise| line.contains(noise));
            let log: Vec<_> = log.lines().filter(told).collect();
            eprintln!("TOLLGATE_TEST_SEED={}; the servers said:\n{}", self.seed, log.join("\n"));
        }
    }
}

/// The seed that the environment gives, or a new one.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read from")]
pub fn seed() -> u64 {
    let given = std::env::var("TOLLGATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| fastrand::u64(0..1 << 32))
}
