//! A database that is locked, damaged or no database at all: never the caller's fault, never a wrong
//! 401, and over as soon as the trouble is. And what is told when a server cannot start.

use crate::ask::{ask, ask_openai, typed};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tollgate_bench::Mock;
use tollgate_tests::server::{Key, Reply, Server, config, config_over, eventually};
use tollgate_types::{Provider, StreamEvent, wire::path};

const MODEL: &str = "mock/mock-echo";
/// A client shall not wait longer than this to be told to come back.
const PATIENCE: Duration = Duration::from_secs(3);

/// Another process's lock on the database.
struct Lock(SqliteConnection);

impl Lock {
    async fn take(database: &Path, statement: &'static str) -> Self {
        let options = SqliteConnectOptions::new().filename(database);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(statement).execute(&mut connection).await.unwrap();
        Self(connection)
    }

    async fn release(mut self) {
        sqlx::query("rollback").execute(&mut self.0).await.unwrap();
        self.0.close().await.unwrap();
    }
}

async fn assert_told_to_come_back(server: &Server, key: &Key) {
    let started = Instant::now();
    for reply in [ask(server, key, MODEL).await, ask_openai(server, key, MODEL).await] {
        reply.assert_error(503, "locked");
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(reply.header("x-should-retry"), "", "trying again helps");
    }
    assert!(started.elapsed() < 2 * PATIENCE, "{:?} for two calls", started.elapsed());
}

async fn recovered(server: &Server, key: &Key) {
    eventually("it recovers by itself", async || {
        (ask(server, key, MODEL).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn while_another_process_writes_calls_are_told_to_come_back_and_reports_are_answered() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let (key, fresh) = (server.any_key().await, server.any_key().await);
    recovered(&server, &key).await;
    let served = mock.served();
    let lock = Lock::take(&server.database(), "begin immediate").await;
    assert_told_to_come_back(&server, &key).await;
    assert_told_to_come_back(&server, &fresh).await;
    assert_eq!(server.get(path::USAGE, &key).await.status, 200, "reading goes on");
    assert_eq!(Reply::to(server.stranger("GET", "/health/live")).await.status, 200);
    assert_eq!(mock.served(), served, "nothing is sent that could not be booked");
    lock.release().await;
    recovered(&server, &key).await;
    recovered(&server, &fresh).await;
}

#[tokio::test]
async fn a_call_that_ends_while_the_database_is_locked_is_booked_when_it_is_free_again() {
    let mock = Mock::start().await.unwrap();
    let server = Server::over(&mock).await;
    let key = server.any_key().await;
    let remote = server.remote(&key);
    let mut events = remote.stream(typed("mock/mock-tokens=20,delay=20")).await.unwrap();
    while !matches!(events.next().await.unwrap().unwrap(), StreamEvent::PartDelta { .. }) {}
    let lock = Lock::take(&server.database(), "begin immediate").await;
    assert!(remote.stream(typed(MODEL)).await.is_err(), "no new call is admitted");
    // Everything but the end comes: the end waits for the books.
    let mut last = None;
    while last.is_none() {
        let event = tokio::time::timeout(Duration::from_millis(700), events.next()).await;
        match event {
            Ok(event) => {
                let event = event.unwrap().unwrap();
                assert!(!matches!(event, StreamEvent::Finish { .. }), "told before it was booked");
            }
            Err(silent) => last = Some(silent),
        }
    }
    lock.release().await;
    while events.next().await.transpose().unwrap().is_some() {}
    let entry = server.settled(1).await.remove(0);
    assert_eq!(
        (entry.disposition.as_str(), entry.tokens.input, entry.tokens.output),
        ("settled", 3, 20)
    );
}

#[tokio::test]
async fn while_the_database_does_not_answer_nobody_is_told_that_a_good_key_is_bad() {
    let mock = Mock::start().await.unwrap();
    let mut config = config_over(&mock, "");
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("t.db");
    config.store.url = format!("sqlite:{}", database.display());
    let server = Server::start(config).await;
    let key = server.any_key().await;
    recovered(&server, &key).await;
    // Nobody can even read while a table is gone: as good as any other failure of every query.
    let mut other =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&database))
            .await
            .unwrap();
    sqlx::query("alter table api_keys rename to api_keys_gone").execute(&mut other).await.unwrap();
    // While one call asks for the key again, others go on with what is remembered of it.
    let replies = eventually("what is remembered of the key is too old", async || {
        let replies = [
            server.get(path::MODELS, &key).await,
            ask(&server, &key, MODEL).await,
            ask_openai(&server, &key, MODEL).await,
        ];
        replies.iter().all(|reply| reply.status != 200).then_some(replies)
    })
    .await;
    for reply in replies {
        reply.assert_error(503, "no table");
        assert_eq!(reply.header("retry-after"), "1");
        assert!(!reply.text.contains("api_keys"), "no detail of the database: {}", reply.text);
    }
    sqlx::query("alter table api_keys_gone rename to api_keys").execute(&mut other).await.unwrap();
    recovered(&server, &key).await;
}

#[tokio::test]
async fn a_server_that_cannot_start_says_which_file_and_what_to_do() {
    let mock = Mock::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let over = |database: &str| {
        let mut config = config_over(&mock, "");
        config.store.url = format!("sqlite:{database}");
        config
    };
    let local = |model: &str| {
        config(&format!(
            "[[providers]]\nname = \"local\"\nkind = \"llama\"\n\
             [[providers.load]]\nmodel = \"m\"\npath = \"{model}\"\n"
        ))
    };
    let keyed = |line: &str| {
        let mut config = config_over(&mock, "");
        match line.split_once('=').unwrap() {
            ("env", name) => config.providers[0].api_key_env = Some(name.to_owned()),
            (_, file) => config.providers[0].api_key_file = Some(file.into()),
        }
        config
    };
    let noise: Vec<u8> = (0..40_000_u32).map(|n| u8::try_from(n * 7919 % 251).unwrap()).collect();
    let header = [b"SQLite format 3\0".as_slice(), &noise].concat();
    let cut = [b"GGUF".as_slice(), &noise].concat();
    let (noise, header, cut) =
        (put("noise.db", &noise), put("half.db", &header), put("cut.gguf", &cut));
    let text = put("text.gguf", b"hello there");
    let here = folder.path().display().to_string();
    let under = format!("{noise}/below/t.db");
    let absent = format!("{here}/none.gguf");
    let no_key = format!("{here}/none.key");
    let cases = [
        ("noise", over(&noise), vec!["noise.db", "not a database"]),
        ("half a database", over(&header), vec!["half.db", "damaged"]),
        ("a folder", over(&here), vec![here.as_str()]),
        ("below a file", over(&under), vec!["noise.db"]),
        ("no model", local(&absent), vec!["none.gguf", "does not exist", "check the path"]),
        ("a model cut short", local(&cut), vec!["cut.gguf", "corrupt", "download it again"]),
        ("no model at all", local(&text), vec!["text.gguf", "not a GGUF"]),
        ("no key", keyed("env=NO_SUCH_KEY"), vec!["mock", "NO_SUCH_KEY", "not set"]),
        ("no key file", keyed(&format!("file={no_key}")), vec!["mock", "none.key"]),
    ];
    for (case, config, expected) in cases {
        let told = Server::refusal(config).await.to_string();
        for part in expected {
            assert!(told.contains(part), "{case}: {part:?} is not in {told:?}");
        }
    }
}

#[tokio::test]
async fn two_servers_do_not_share_a_database() {
    let mock = Mock::start().await.unwrap();
    let first = Server::over(&mock).await;
    let mut config = config_over(&mock, "");
    config.store.url = format!("sqlite:{}", first.database().display());
    let told = Server::refusal(config).await.to_string();
    assert!(told.contains("another tollgate server") && told.contains("tollgate.db"), "{told}");
    assert!(first.stop().await);
}
