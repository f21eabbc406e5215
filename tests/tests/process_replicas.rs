//! Several servers on one PostgreSQL under load: they are killed, paused and shut down, and told
//! of revoked keys and changed budgets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on shall fail there; what was measured is told"
)]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};
use tollgate_bench::private::{Database, Durability, Postgres};
use tollgate_tests::process::{
    Api, Crowd, End, Firm, Fleet, PATIENCE, Relay, Told, question, seed, until,
};

fn count(told: &[Told], what: impl Fn(&End) -> bool) -> usize {
    told.iter().filter(|told| what(&told.end)).count()
}

#[tokio::test]
async fn servers_that_are_killed_under_load_lose_no_call_and_pass_no_cap() {
    let postgres = Postgres::start(Durability::Disk).await.unwrap();
    let database = Database::on(&postgres.url()).await.unwrap();
    let firm = Firm::on(&database.url(), &database.url()).await;
    let witness = firm.witness(seed());
    let mut rng = fastrand::Rng::with_seed(witness.seed);
    let mut fleet = Fleet::start(&firm.install, 3, firm.keys.clone()).await;

    let stop = watch::Sender::new(false);
    let mut watching = JoinSet::new();
    watching.spawn(firm.books.clone().watch(stop.subscribe()));
    firm.allow(0).await;
    let crowd = Crowd::of(&fleet, 16, witness.seed);
    for round in 0..4 {
        firm.allow(rng.i64(6_000_000..20_000_000)).await;
        let enough = crowd.told() + rng.u64(40..120);
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
    let looks = watching.join_all().await;
    assert!(looks.iter().all(|looks| *looks > 20), "looked too rarely: {looks:?}");

    let finished = count(&told, |end| matches!(end, End::Finished(_)));
    let refused = count(&told, |end| matches!(end, End::Refused(402, _)));
    let broken = count(&told, |end| matches!(end, End::Broken));
    let entries = firm.books.entries().await;
    let unknown = entries.iter().filter(|entry| entry.disposition == "unknown").count();
    let seen = (finished, refused, broken, unknown);
    assert!(finished > 50 && refused > 5 && broken > 0 && unknown > 0, "no test at all: {seen:?}");
}

#[tokio::test]
async fn a_server_that_is_shut_down_under_load_loses_nothing() {
    let database = Database::fresh().await.unwrap();
    let firm = Firm::on(&database.url(), &database.url()).await;
    let witness = firm.witness(seed());
    let mut fleet = Fleet::start(&firm.install, 3, firm.keys.clone()).await;
    let crowd = Crowd::of(&fleet, 12, witness.seed);
    for nth in [0, 2] {
        let enough = crowd.told() + 60;
        until("callers are answered", PATIENCE, async || crowd.told() >= enough).await;
        let server = fleet.take(nth);
        server.terminate().await;
        assert_eq!(server.ended().await, Some(0));
        fleet.start_again(&firm.install, nth).await;
    }
    let told = crowd.end().await;
    // Nothing is left for a sweep.
    assert_eq!(firm.books.open_holds().await, 0);
    firm.check(&told).await;
    let broken: BTreeSet<u64> = told
        .iter()
        .filter(|told| matches!(told.end, End::Broken))
        .inspect(|told| assert_eq!(told.request_id, None, "an answer broke off: {told:?}"))
        .map(|told| told.number)
        .collect();
    for entry in firm.books.entries().await {
        assert_ne!(entry.disposition, "unknown", "{entry:?}");
        let number = entry.number.unwrap();
        assert!(
            !broken.contains(&number),
            "it was made, and its caller was told nothing: {entry:?}"
        );
    }
    for told in &told {
        let fits = !matches!(told.end, End::Refused(status, _) if ![502, 503].contains(&status));
        assert!(fits, "{told:?}");
    }
}

async fn status_of(api: &Api) -> (u16, Option<String>) {
    let number = fastrand::u64(1 << 30..1 << 60);
    let text = format!("hello number={number}");
    let body = question("mock/echo", &text, 20);
    let (status, answer) = api.numbered(number).post("/api/v1/generate", &body).await;
    (status, answer["error"]["code"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn a_revoked_key_is_dead_everywhere_within_a_second_and_a_new_cap_counts_at_once() {
    let database = Database::fresh().await.unwrap();
    let firm = Firm::on(&database.url(), &database.url()).await;
    let fleet = Fleet::start(&firm.install, 3, firm.keys.clone()).await;
    for key in 0..4 {
        for nth in 0..3 {
            assert_eq!(status_of(&fleet.api(nth, key)).await, (200, None));
        }
    }
    let exhausted = (402, Some("budget_exhausted".to_owned()));
    for (cap, expected) in [("0usd", &exhausted), ("5usd", &(200, None)), ("0usd", &exhausted)] {
        firm.install.tollgate(&["budgets", "update", "b", "--cap", cap]).await.printed();
        for nth in 0..3 {
            assert_eq!(&status_of(&fleet.api(nth, nth)).await, expected, "{cap} at server {nth}");
        }
    }
    firm.install.tollgate(&["budgets", "delete", "b"]).await.printed();
    for nth in 0..3 {
        assert_eq!(status_of(&fleet.api(nth, nth)).await, (200, None), "deleted, at server {nth}");
    }

    let dead = (401, Some("revoked_api_key".to_owned()));
    let mut callers = JoinSet::new();
    for nth in 0..3 {
        let (api, dead) = (fleet.api(nth, 1), dead.clone());
        callers.spawn(async move {
            while status_of(&api).await != dead {}
            Instant::now()
        });
    }
    firm.install.tollgate(&["keys", "revoke", &firm.keys[1].id]).await.printed();
    let revoked = Instant::now();
    let died = tokio::time::timeout(PATIENCE, callers.join_all()).await.unwrap();
    let took = died.into_iter().max().unwrap().saturating_duration_since(revoked);
    println!("the key was dead everywhere after {took:?}");
    assert!(took < Duration::from_millis(1_200), "the key worked on for {took:?}");
    assert_eq!(status_of(&fleet.api(0, 0)).await, (200, None), "another key of the same user");
}

/// A server that stands still for longer than its lease is taken for dead, and keeps nobody waiting;
/// what it held has one entry, and when it goes on it goes on.
#[tokio::test]
async fn a_server_that_is_paused_keeps_no_other_from_working() {
    let database = Database::fresh().await.unwrap();
    let firm = Firm::on(&database.url(), &database.url()).await;
    let fleet = Fleet::start(&firm.install, 2, firm.keys.clone()).await;
    let _witness = firm.witness(0);
    let api = fleet.api(0, 0).numbered(1);
    let mut running =
        api.stream("mock/echo", "[[mock tokens=5000 delay=5]] number=1", 5000).await.unwrap();
    running.deltas(40).await;
    fleet.server(0).signal("STOP").await;
    let paused = Instant::now();
    let mut slowest = Duration::ZERO;
    while firm.books.open_holds().await > 0 {
        let asked = Instant::now();
        let (status, _) = status_of(&fleet.api(1, 0)).await;
        let took = asked.elapsed();
        slowest = slowest.max(took);
        // Whoever was paused amid a transaction has rows locked, for two seconds at most.
        let may_fail = paused.elapsed() < Duration::from_secs(4);
        assert!(status == 200 || may_fail && status == 503, "{status} {:?}", paused.elapsed());
        assert!(took < Duration::from_millis(1_500), "{took:?}");
        assert!(paused.elapsed() < PATIENCE, "its hold is never settled");
    }
    println!("swept after {:?}, slowest answer {slowest:?}", paused.elapsed());
    fleet.server(0).signal("CONT").await;
    until("it works again", PATIENCE, async || status_of(&fleet.api(0, 1)).await.0 == 200).await;
    drop(running);
    until("it has noticed", PATIENCE, async || firm.mock.aborted().len() == 1).await;
    let rows = firm.install.rows().await;
    assert_eq!(rows.iter().filter(|row| row["disposition"] == "unknown").count(), 1);
    firm.check(&[]).await;
}

/// A commit that is under way when its server gives the connection up must not arrive later: it would
/// bring back holds that were released meanwhile.
#[tokio::test]
async fn what_a_lost_connection_said_does_not_arrive_later() {
    let postgres = Postgres::start(Durability::System).await.unwrap();
    let database = Database::on(&postgres.url()).await.unwrap();
    let relay = Relay::to(postgres.port()).await;
    let firm = Firm::on(&database.url(), &relay.url(&database.url())).await;
    let witness = firm.witness(seed());
    let fleet = Fleet::start(&firm.install, 2, firm.keys.clone()).await;
    let crowd = Crowd::of(&fleet, 8, witness.seed);
    for _ in 0..2 {
        let enough = crowd.told() + 30;
        until("callers are answered", PATIENCE, async || crowd.told() >= enough).await;
        let before = firm.books.sessions_of_ledgers().await;
        assert_eq!(before.len(), 2, "{before:?}");
        relay.delay_connections();
        until("the connections are replaced", PATIENCE, async || {
            let now = firm.books.sessions_of_ledgers().await;
            now.len() == 2 && now.is_disjoint(&before)
        })
        .await;
        relay.deliver();
    }
    let told = crowd.end().await;
    firm.check(&told).await;
}
