//! Three servers on one PostgreSQL, under load, while one of them is killed, stopped or paused.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

use sqlx::PgPool;
use tokio::{sync::watch, task::JoinSet};
use tollgate_bench::{
    Mock,
    private::{Database, Durability, Postgres},
};
use tollgate_tests::process::{
    Books, Crowd, End, Fleet, Install, Key, PATIENCE, Told, agrees, mock_provider, until,
};

/// Two users of one team, two keys each.
struct Firm {
    mock: Mock,
    install: Install,
    pool: PgPool,
    books: Books,
    keys: Vec<Key>,
}

impl Firm {
    async fn on(url: &str) -> Self {
        let mock = Mock::start().await.unwrap();
        let install = Install::on_postgres(url, &mock_provider(&mock));
        let mut keys = Vec::new();
        for name in ["alice", "bob"] {
            install.user(name).await;
            let budget = ["budgets", "create", "--user", name, "tokens=40000/total"];
            install.tollgate(&budget).await.printed();
            keys.push(install.key(name, &["--budget", "cost=1usd/total"]).await);
            keys.push(install.key(name, &["--budget", "requests=5000/total"]).await);
        }
        let pool = PgPool::connect(url).await.unwrap();
        let team = "insert into teams (id, name, time_zone, created_ms) values ('t', 't', 'UTC', 0);
             update users set team_id = 't';
             insert into budgets (id, owner_kind, owner_id, owner_name, resource, span, cap,
                                  created_ms)
             values ('b', 'team', 't', 't', 'cost', 'total', 0, 0),
                    ('c', 'team', 't', 't', 'requests', 'total', 100000, 0)";
        sqlx::raw_sql(team).execute(&pool).await.unwrap();
        let books = Books::of_postgres(url).await;
        Self { mock, install, pool, books, keys }
    }

    /// Raises the team's cap: the callers of the next moments will use it up.
    async fn allow_more(&self, nano_usd: i64) {
        let text = "update budgets set cap = $1 + coalesce(
                        (select spent from budget_windows where budget_id = 'b'), 0)
                    where id = 'b' and cap < $1 + coalesce(
                        (select spent from budget_windows where budget_id = 'b'), 0)";
        sqlx::query(text).bind(nano_usd).execute(&self.pool).await.unwrap();
    }

    /// The books once nothing is held any more, checked against everything that was told.
    async fn check(&self, told: &[Told]) {
        until("every hold has ended", PATIENCE, async || self.books.open_holds().await == 0).await;
        self.books.balance().await;
        let entries = self.books.entries().await;
        agrees(&self.mock, told, &entries, &self.install.rows().await);
    }
}

/// Prints what helps to find out, unless everything was as it should be.
struct Witness {
    seed: u64,
    log: std::path::PathBuf,
}

impl Drop for Witness {
    #[expect(clippy::print_stderr, reason = "who reads of a failure wants to repeat it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let noise = |line: &&str| !line.contains("call ended") && !line.contains("request answered");
            let log: Vec<_> = log.lines().filter(noise).collect();
            eprintln!("TOLLGATE_TEST_SEED={} fails; the servers said:\n{}", self.seed, log.join("\n"));
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to read from")]
fn seed() -> u64 {
    let given = std::env::var("TOLLGATE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| fastrand::u64(0..1 << 32))
}

fn count(told: &[Told], what: impl Fn(&End) -> bool) -> usize {
    told.iter().filter(|told| what(&told.end)).count()
}

#[tokio::test]
async fn servers_that_are_killed_under_load_lose_no_call_and_pass_no_cap() {
    let postgres = Postgres::start(Durability::Disk).await.unwrap();
    let database = Database::on(&postgres.url()).await.unwrap();
    let firm = Firm::on(&database.url()).await;
    let seed = seed();
    let _witness = Witness { seed, log: firm.install.path("serve.log") };
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut fleet = Fleet::start(&firm.install, 3, firm.keys.clone()).await;

    let stop = watch::Sender::new(false);
    let mut watching = JoinSet::new();
    watching.spawn(firm.books.clone().watch(stop.subscribe()));
    let crowd = Crowd::of(&fleet, 24, seed);
    for round in 0..6 {
        firm.allow_more(rng.i64(500_000..4_000_000)).await;
        let enough = crowd.told() + rng.u64(40..160);
        until("callers are answered", PATIENCE, async || crowd.told() >= enough).await;
        let victim = rng.usize(0..3);
        fleet.take(victim).kill().await;
        // Sometimes its callers find nobody for a while.
        let enough = crowd.told() + rng.u64(0..60) * (round % 2);
        until("callers are answered", PATIENCE, async || crowd.told() >= enough).await;
        fleet.start_again(&firm.install, victim).await;
    }
    let told = crowd.end().await;
    firm.check(&told).await;
    stop.send_replace(true);
    let looks = watching.join_all().await[0];

    let finished = count(&told, |end| matches!(end, End::Finished(_)));
    let refused = count(&told, |end| matches!(end, End::Refused(402, _)));
    let broken = count(&told, |end| matches!(end, End::Broken));
    assert!(finished > 100 && refused > 0 && broken > 0 && looks > 50, "{finished} {refused} {broken} {looks}");
    let entries = firm.books.entries().await;
    let unknown = entries.iter().filter(|entry| entry.disposition == "unknown").count();
    assert!(unknown > 0, "the kills hit nothing");
    println!("finished {finished} refused {refused} broken {broken} looks {looks} unknown {unknown} of {}", entries.len());
    let other = count(&told, |end| matches!(end, End::Refused(status, _) if ![402, 502].contains(status)));
    println!("other refusals {other}: {:?}", told.iter().filter_map(|t| match t.end { End::Refused(s, r) if ![402,502].contains(&s) => Some((s, r, t.took)), _ => None }).collect::<Vec<_>>());
}
