//! Three servers on one PostgreSQL, under load, while they are killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

use tokio::{sync::watch, task::JoinSet};
use tollgate_bench::private::{Database, Durability, Postgres};
use tollgate_tests::process::{Crowd, End, Firm, Fleet, PATIENCE, Told, seed, until};

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
    let crowd = Crowd::of(&fleet, 24, witness.seed);
    for round in 0..5 {
        firm.allow(rng.i64(10_000_000..30_000_000)).await;
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
