//! PostgreSQL goes away under load, in every way that it can: callers are told within a second to
//! come back, nobody is taken for a stranger, and everything goes on by itself (`PAINS 13`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tollgate_bench::private::{Database, Postgres, PostgresOptions};
use tollgate_tests::process::{
    Api, Crowd, End, Events, Firm, Fleet, Install, PATIENCE, Relay, Told, Witness, question, seed,
    until,
};

/// The account and the hold wait for the database for less than a second each, and in an outage that
/// lasts it is the one or the other. A busy machine adds to that.
const ANSWERED: Duration = Duration::from_millis(2_500);
/// Longer than servers may be away until they are taken for dead, so that nobody takes a server for
/// dead that is only as far from the database as everybody is.
const LONG: Duration = Duration::from_millis(3_500);

struct Scene {
    postgres: Postgres,
    /// Absent once the database is gone for good.
    database: Database,
    relay: Relay,
    firm: Firm,
    fleet: Fleet,
    witness: Witness,
    /// Known to no server, in force.
    newcomer: Vec<Api>,
    /// Looks like a key and is none.
    stranger: Vec<Api>,
}

impl Scene {
    async fn set(max_connections: u16) -> Self {
        let options = PostgresOptions { max_connections, ..PostgresOptions::default() };
        let postgres = Postgres::with(options).await.unwrap();
        let database = Database::on(&postgres.url()).await.unwrap();
        let relay = Relay::to(postgres.port()).await;
        let firm = Firm::on(&database.url(), &relay.url(&database.url())).await;
        let witness = firm.witness(seed());
        let fleet = Fleet::start(&firm.install, 2, firm.keys.clone()).await;
        let newcomer = firm.install.key("bob", &[]).await;
        let elsewhere = Install::new("");
        elsewhere.user("mallory").await;
        let stranger = elsewhere.key("mallory", &[]).await;
        let both = |key| vec![fleet.server(0).api(key), fleet.server(1).api(key)];
        let (newcomer, stranger) = (both(&newcomer), both(&stranger));
        Self { postgres, database, relay, firm, fleet, witness, newcomer, stranger }
    }

    /// A long answer of either server, which has begun.
    async fn running(&self) -> [Events; 2] {
        let begun = async |nth| {
            let api = self.fleet.api(nth, 0).numbered(1_000_000 + nth as u64);
            let text = format!("[[mock tokens=200 delay=12]] number={}", 1_000_000 + nth);
            let mut events = api.stream("mock/echo", &text, 600).await.unwrap();
            events.deltas(2).await;
            events
        };
        [begun(0).await, begun(1).await]
    }

    /// Asks both servers in every way, `rounds` times; returns the statuses. Each answer must come
    /// in time, and say when to come back unless it is a good one.
    async fn probe(&self, rounds: usize) -> Vec<u16> {
        let mut asking = JoinSet::new();
        for nth in 0..2 {
            let known = (self.fleet.api(nth, 1), "known");
            let others =
                [(self.newcomer[nth].clone(), "new"), (self.stranger[nth].clone(), "none")];
            for (api, who) in [known].into_iter().chain(others) {
                asking.spawn(probe(api, who, rounds, nth));
            }
        }
        asking.join_all().await.into_iter().flatten().collect()
    }

    /// Asks for so long, once at least: nobody gets an answer, and nobody waits for it.
    async fn is_gone_for(&self, time: Duration) {
        let gone = Instant::now();
        loop {
            let statuses = self.probe(1).await;
            assert!(statuses.iter().all(|status| *status == 503), "{statuses:?}");
            if gone.elapsed() >= time {
                return;
            }
        }
    }

    /// Asks until both servers answer everybody well again.
    async fn recovers(&self, what: &str) {
        let began = Instant::now();
        for nth in 0..2 {
            for api in [self.fleet.api(nth, 1), self.newcomer[nth].clone()] {
                until("it answers again", PATIENCE, async || {
                    api.get("/api/v1/budgets").await.0 == 200
                        && api.get("/health/ready").await.0 == 200
                        && send(&api).await.0 == 200
                })
                .await;
            }
        }
        println!("recovered from {what} after {:?}", began.elapsed());
    }

    async fn ends(self, crowd: Crowd, running: [Events; 2]) {
        for (nth, events) in running.into_iter().enumerate() {
            let id = events.request_id.clone();
            let last = events.rest().await.pop().unwrap();
            assert_eq!(last["type"], "finish", "the stream of server {nth}, {id}: {last}");
            let rows = self.firm.install.rows().await;
            let row = rows.iter().find(|row| row["request_id"] == id.as_str()).unwrap();
            assert_eq!((&row["disposition"], &row["usage"]), (&"settled".into(), &last["usage"]));
        }
        let told = crowd.end().await;
        self.firm.check(&told).await;
        in_time(&told);
    }
}

/// Nobody was told anything but what an outage allows, and everybody in time.
fn in_time(told: &[Told]) {
    for told in told {
        if let End::Refused(status, retry) = told.end {
            assert!(matches!(status, 502 | 503) && (retry || status == 502), "{told:?}");
            assert!(told.took < ANSWERED, "too late: {told:?}");
        }
    }
}

/// One question; the status, and whether it was told when to come back.
async fn send(api: &Api) -> (u16, bool) {
    let number = fastrand::u64(1 << 30..1 << 60);
    let body = question("mock/echo", &format!("hello number={number}"), 20);
    let answer = api.numbered(number).send("/api/v1/generate", &body).await.unwrap();
    let status = answer.status().as_u16();
    let retry = answer.headers().contains_key("retry-after");
    drop(answer.bytes().await);
    (status, retry)
}

async fn probe(api: Api, who: &'static str, rounds: usize, nth: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for round in 0..rounds {
        let asked = Instant::now();
        let (status, retry) = send(&api).await;
        let took = asked.elapsed();
        let context = format!("{who} key, server {nth}, round {round}: {status} after {took:?}");
        assert!(took < ANSWERED, "too late: {context}");
        assert!(
            status == 503 && retry || status == if who == "none" { 401 } else { 200 },
            "{context}"
        );
        let asked = Instant::now();
        let status_of_budgets = api.get("/api/v1/budgets").await.0;
        assert!(asked.elapsed() < ANSWERED, "too late for budgets: {:?}", asked.elapsed());
        assert!(
            matches!(status_of_budgets, 200 | 401 | 503),
            "{context}, budgets {status_of_budgets}"
        );
        statuses.push(status);
    }
    statuses
}

#[tokio::test]
async fn a_database_that_is_stopped_or_killed_is_told_at_once_and_found_again() {
    let mut scene = Scene::set(100).await;
    let crowd = Crowd::of(&scene.fleet, 4, scene.witness.seed);
    let running = scene.running().await;
    scene.postgres.stop().await.unwrap();
    scene.is_gone_for(LONG).await;
    scene.postgres.start_again().await.unwrap();
    scene.recovers("a stop").await;
    scene.postgres.kill().await.unwrap();
    scene.is_gone_for(Duration::ZERO).await;
    scene.postgres.start_again().await.unwrap();
    scene.recovers("a kill").await;
    scene.ends(crowd, running).await;
}

#[tokio::test]
async fn a_database_or_a_network_that_falls_silent_hangs_nobody() {
    let mut scene = Scene::set(100).await;
    let crowd = Crowd::of(&scene.fleet, 4, scene.witness.seed);
    let running = scene.running().await;
    scene.postgres.pause().await.unwrap();
    scene.is_gone_for(LONG).await;
    scene.postgres.resume().unwrap();
    scene.recovers("silence").await;
    scene.ends(crowd, running).await;
}

#[tokio::test]
async fn connections_that_are_lost_in_silence_are_replaced() {
    let scene = Scene::set(100).await;
    let crowd = Crowd::of(&scene.fleet, 4, scene.witness.seed);
    let running = scene.running().await;
    let statuses = scene.probe(2).await;
    assert!(statuses.contains(&200), "{statuses:?}");
    scene.relay.lose_connections();
    scene.probe(2).await;
    scene.recovers("a loss of all connections").await;
    scene.ends(crowd, running).await;
}

#[tokio::test]
async fn a_database_without_a_free_connection_is_told_at_once() {
    let scene = Scene::set(34).await;
    let crowd = Crowd::of(&scene.fleet, 4, scene.witness.seed);
    let running = scene.running().await;
    let mut others = Vec::new();
    let mut probed = 0;
    while probed < 2 {
        // The servers lose theirs, and others are quicker.
        let mut own = None;
        while let Ok(connection) = PgConnection::connect(&scene.database.url()).await {
            others.extend(own.replace(connection));
        }
        if let Some(mut own) = own {
            let text = "select pg_terminate_backend(pid) from pg_stat_activity
                        where application_name like 'tollgate%'";
            sqlx::query(text).execute(&mut own).await.unwrap();
            others.push(own);
        }
        probed += usize::from(scene.probe(1).await.contains(&503));
    }
    drop(others);
    scene.recovers("exhaustion").await;
    scene.ends(crowd, running).await;
}
