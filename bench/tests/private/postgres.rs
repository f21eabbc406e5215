//! PostgreSQL: every way to lose one, and databases that know nothing of each other.

use super::{SILENCE, listens};
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use tollgate_bench::private::{Database, Durability, Postgres, PostgresOptions};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(connection: &mut PgConnection, command: &'static str) {
    sqlx::raw_sql(command).execute(connection).await.unwrap();
}

async fn number(connection: &mut PgConnection, question: &'static str) -> i64 {
    sqlx::query_scalar(question).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn what_is_committed_survives_a_stop_and_a_kill() {
    for durability in [Durability::Disk, Durability::System] {
        let mut postgres = Postgres::start(durability).await.unwrap();
        let (url, port) = (postgres.url(), postgres.port());
        let mut connection = connect(&url).await;
        run(&mut connection, "create table kept (n bigint); insert into kept values (1)").await;

        postgres.stop().await.unwrap();
        assert!(!listens(port));
        assert!(postgres.stop().await.is_err(), "it was stopped already");
        sqlx::raw_sql("select 1").execute(&mut connection).await.unwrap_err();
        postgres.start_again().await.unwrap();
        assert_eq!(postgres.url(), url);
        assert!(postgres.start_again().await.is_err(), "it runs already");

        let mut connection = connect(&url).await;
        run(&mut connection, "insert into kept values (2)").await;
        run(&mut connection, "begin; insert into kept values (4)").await;
        postgres.kill().await.unwrap();
        assert!(!listens(port));
        sqlx::raw_sql("select 1").execute(&mut connection).await.unwrap_err();
        postgres.start_again().await.unwrap();
        assert!(postgres.log().contains("not properly shut down"), "{}", postgres.log());

        let mut connection = connect(&url).await;
        assert_eq!(number(&mut connection, "select cast(sum(n) as bigint) from kept").await, 3);
        drop(postgres);
        assert!(!listens(port));
    }
}

#[tokio::test]
async fn a_pause_is_silence_and_no_end() {
    let mut postgres = Postgres::start(Durability::System).await.unwrap();
    let mut connection = connect(&postgres.url()).await;
    let mut transaction = connect(&postgres.url()).await;
    run(&mut transaction, "create table kept (n bigint); begin; insert into kept values (7)").await;

    postgres.pause().await.unwrap();
    let asked = number(&mut connection, "select 5::bigint");
    tokio::pin!(asked);
    assert!(tokio::time::timeout(SILENCE, &mut asked).await.is_err(), "it answered");
    let url = postgres.url();
    let newcomer = PgConnection::connect(&url);
    tokio::pin!(newcomer);
    assert!(tokio::time::timeout(SILENCE, &mut newcomer).await.is_err(), "it let somebody in");

    postgres.resume().unwrap();
    assert_eq!(asked.await, 5);
    run(&mut transaction, "commit").await;
    assert_eq!(number(&mut newcomer.await.unwrap(), "select n from kept").await, 7);

    // All three end one that stands still.
    postgres.pause().await.unwrap();
    postgres.stop().await.unwrap();
    postgres.start_again().await.unwrap();
    postgres.pause().await.unwrap();
    postgres.kill().await.unwrap();
    postgres.start_again().await.unwrap();
    postgres.pause().await.unwrap();
    let port = postgres.port();
    let started = std::time::Instant::now();
    drop(postgres);
    assert!(!listens(port));
    assert!(started.elapsed() < Duration::from_secs(8), "the keeper had to kill it");
}

#[tokio::test]
async fn connections_run_out_when_they_shall() {
    let options = PostgresOptions {
        max_connections: 5,
        settings: vec![("work_mem".to_owned(), "3MB".to_owned())],
        ..PostgresOptions::default()
    };
    let postgres = Postgres::with(options).await.unwrap();
    let url = postgres.url();
    let mut taken = Vec::new();
    for _ in 0..5 {
        taken.push(connect(&url).await);
    }
    let refused = PgConnection::connect(&url).await.unwrap_err();
    assert!(refused.to_string().contains("too many clients"), "{refused}");
    let kibibytes = "select setting::bigint from pg_settings where name = 'work_mem'";
    assert_eq!(number(&mut taken[0], kibibytes).await, 3 * 1024);
    let shown = format!("{postgres:?}");
    let password = url.split(['@', ':']).nth(2).unwrap();
    assert!(password.len() == 24 && !shown.contains(password), "{shown}");
}

#[tokio::test]
async fn a_server_that_does_not_start_says_why() {
    let settings = vec![("max_wal_senders".to_owned(), "many".to_owned())];
    let options = PostgresOptions { settings, ..PostgresOptions::default() };
    let error = Postgres::with(options).await.unwrap_err();
    assert!(error.to_string().contains("max_wal_senders"), "{error}");
}

#[tokio::test]
async fn databases_are_fresh_and_go() {
    let postgres = Postgres::start(Durability::System).await.unwrap();
    let on = || async { Database::on(&postgres.url()).await.unwrap() };
    let (one, other) = tokio::join!(on(), on());
    let mut connection = connect(&one.url()).await;
    run(&mut connection, "create table kept (n bigint)").await;
    run(&mut connect(&other.url()).await, "create table kept (n bigint)").await;

    let mut whole = connect(&postgres.url()).await;
    let databases = "select count(*) from pg_database where datname like 'tollgate_test_%'";
    assert_eq!(number(&mut whole, databases).await, 2);
    drop(other);
    drop(one);
    assert_eq!(number(&mut whole, databases).await, 0, "also with somebody connected");
    sqlx::raw_sql("select 1").execute(&mut connection).await.unwrap_err();
}

#[tokio::test]
async fn a_database_of_the_shared_server_is_there_for_all() {
    let (one, other) = tokio::join!(Database::fresh(), Database::fresh());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.url(), other.url());
    assert_eq!(number(&mut connect(&one.url()).await, "select 1::bigint").await, 1);
    assert_eq!(number(&mut connect(&other.url()).await, "select 2::bigint").await, 2);
}

#[tokio::test]
async fn many_databases_are_made_and_dropped_at_once() {
    let postgres = Postgres::start(Durability::System).await.unwrap();
    let url = postgres.url();
    let made = futures_util::future::join_all((0..16).map(|_| Database::on(&url))).await;
    let made: Vec<Database> = made.into_iter().map(Result::unwrap).collect();
    let urls: std::collections::BTreeSet<String> = made.iter().map(Database::url).collect();
    assert_eq!(urls.len(), 16);
    let threads: Vec<_> = made.into_iter().map(|one| std::thread::spawn(|| drop(one))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let databases = "select count(*) from pg_database where datname like 'tollgate_test_%'";
    assert_eq!(number(&mut connect(&url).await, databases).await, 0);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let error = Database::on("postgres://nobody@127.0.0.1:1/postgres").await.unwrap_err();
    assert!(error.to_string().contains("TOLLGATE_TEST_POSTGRES"), "{error}");
}
