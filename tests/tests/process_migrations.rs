//! The tables are brought up to date while others use them: servers that start at once, and a newer
//! version that comes while this one works.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

use sqlx::{Connection, PgConnection};
use std::collections::BTreeSet;
use tollgate_bench::private::Database;
use tollgate_tests::process::{Crowd, End, Firm, Fleet, Install, PATIENCE, seed, until};

#[tokio::test]
async fn servers_that_start_at_once_on_an_empty_database_all_come_up() {
    let database = Database::fresh().await.unwrap();
    let install = || Install::on_postgres(&database.url(), "");
    let (one, two, three) = (install(), install(), install());
    let (first, second, command) =
        tokio::join!(one.serve(), two.serve(), three.tollgate(&["users", "list"]));
    command.printed();
    one.user("alice").await;
    let key = two.key("alice", &[]).await;
    for server in [first, second] {
        assert_eq!(server.api(&key).get("/health/ready").await.0, 200);
        assert_eq!(server.api(&key).get("/api/v1/budgets").await.0, 200);
    }
}

/// Somebody else is at it, and takes his time: a server that starts waits for him.
#[tokio::test]
async fn a_server_that_finds_a_migration_under_way_waits_for_its_end() {
    let database = Database::fresh().await.unwrap();
    let install = Install::on_postgres(&database.url(), "");
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    let mut watch = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql("begin; create table _sqlx_migrations (version bigint primary key)")
        .execute(&mut other)
        .await
        .unwrap();
    let free = async {
        let text = "select pid from pg_stat_activity where application_name like 'tollgate%'
                    and wait_event_type = 'Lock' and datname = current_database()";
        let mut waiting = BTreeSet::new();
        until("it has tried three times", PATIENCE, async || {
            waiting.extend(sqlx::query_scalar::<_, i32>(text).fetch_all(&mut watch).await.unwrap());
            waiting.len() >= 3
        })
        .await;
        sqlx::query("rollback").execute(&mut other).await.unwrap();
    };
    let (server, ()) = tokio::join!(install.serve(), free);
    assert!(server.listens().await);
}

/// What the version after this one might do.
const NEWER: [&str; 8] = [
    "alter table usage_entries add column colour text not null default 'red'",
    "alter table holds add column colour text not null default 'red'",
    "alter table budgets add column colour text",
    "alter table budget_windows add column colour bigint not null default 7",
    "alter table users add column colour text",
    "alter table api_keys add column colour text",
    "create table colours (id text primary key, budget_id text references budgets (id))",
    "insert into _sqlx_migrations
         (version, description, success, checksum, execution_time)
     values (9999, 'colours', true, '\\x00', 1)",
];

#[tokio::test]
async fn this_version_works_on_while_a_newer_one_changes_the_tables() {
    let database = Database::fresh().await.unwrap();
    let firm = Firm::on(&database.url(), &database.url()).await;
    let witness = firm.witness(seed());
    let mut fleet = Fleet::start(&firm.install, 2, firm.keys.clone()).await;
    let crowd = Crowd::of(&fleet, 12, witness.seed);
    let goes_on = async |count: u64| {
        let enough = crowd.told() + count;
        until("callers are answered", PATIENCE, async || crowd.told() >= enough).await;
    };
    let mut newer = PgConnection::connect(&database.url()).await.unwrap();
    sqlx::query("set lock_timeout = 500").execute(&mut newer).await.unwrap();
    goes_on(40).await;
    for change in NEWER {
        let mut tries = 0;
        while let Err(error) = sqlx::query(change).execute(&mut newer).await {
            tries += 1;
            assert!(tries < 20, "{change}: {error}");
        }
        goes_on(15).await;
    }
    // A server of this version still starts.
    fleet.take(0).kill().await;
    fleet.start_again(&firm.install, 0).await;
    goes_on(40).await;
    let told = crowd.end().await;
    firm.check(&told).await;
    for told in &told {
        let fits = !matches!(told.end, End::Refused(status, _) if status != 502);
        assert!(fits, "{told:?}");
    }
}
