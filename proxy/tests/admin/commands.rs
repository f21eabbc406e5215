//! The same operations as an operator types them, and what is printed.

use serde_json::{Value, json};
use tollgate_bench::{
    on_both_engines,
    private::{Home, Kind},
};

on_both_engines!(
    what_is_typed_is_done_once_and_on_record,
    a_broken_trail_fails_the_check,
    tables_tell_what_a_person_looks_for,
);

/// A database that commands work on.
struct Install(Home);

impl Install {
    async fn on(kind: Kind) -> Self {
        Self(Home::fresh(kind).await.unwrap())
    }

    /// Runs a command: whether it went well, what it printed, what it complained about.
    async fn run(&self, line: &str) -> (bool, String, String) {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(line.split(' '))
            .env_clear()
            .env("TOLLGATE_STORE__URL", self.0.url())
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    async fn json(&self, line: &str) -> Value {
        let (good, said, error) = self.run(&format!("{line} --json")).await;
        assert!(good, "{line}: {error}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{line}: {error}: {said}"))
    }

    async fn fails(&self, line: &str, with: &str) {
        let (good, said, error) = self.run(line).await;
        assert!(!good && error.contains(with), "{line}: {said}{error}");
    }
}

async fn what_is_typed_is_done_once_and_on_record(kind: Kind) {
    let install = Install::on(kind).await;
    let create = "users create alice --budget cost=5usd/month --idempotency-key a";
    let made = install.json(create).await;
    assert_eq!(install.json(create).await, made);
    install.fails("users create bob --idempotency-key a", "another request").await;
    install.fails("users create alice", "already").await;
    let user = install.json("users update alice --time-zone Europe/Berlin --model p/*").await;
    assert_eq!(user["permissions"], json!({"models": ["p/*"]}));
    let user = install.json("users update alice --everything").await;
    assert_eq!((&user["permissions"], &user["time_zone"]), (&json!({}), &json!("Europe/Berlin")));
    assert_eq!(install.json("users show alice").await["id"], made["id"]);
    install.fails("users update alice", "nothing").await;
    install.fails("users update nobody --role admin", "tollgate users list").await;

    let key = install.json("keys create --user alice --idempotency-key k --overrun refuse").await;
    let again = install.json("keys create --user alice --idempotency-key k --overrun refuse").await;
    assert!(key["key"].is_string() && again["key"].is_null(), "{again}");
    assert_eq!((&key["id"], &key["overrun"]), (&again["id"], &json!("refuse")));
    let id = key["id"].as_str().unwrap();
    let new = install.json(&format!("keys rotate {id} --overlap 1h")).await;
    assert!(new["key"].is_string() && new["key"] != key["key"]);
    assert!(new["old_secret_until_ms"].is_i64(), "{new}");
    let line = format!("keys update {id} --rate 5/minute --expires 30d --overrun clamp");
    let view = install.json(&line).await;
    assert_eq!((&view["rate_per_minute"], &view["overrun"]), (&json!(5), &json!("clamp")));
    let view = install.json(&format!("keys update {id} --rate none --expires never")).await;
    assert!(view["rate_per_minute"].is_null() && view["expires_ms"].is_null(), "{view}");
    install.fails(&format!("keys update {id} --rate 0/minute"), "no rate").await;

    let budget = made["budgets"][0]["id"].as_str().unwrap();
    let line = format!("budgets update {budget} --cap 7usd --overrun refuse --alert 80");
    install.json(&line).await;
    let shown = install.json(&format!("budgets show {budget}")).await;
    assert_eq!((&shown["cap"], &shown["alert_percent"]), (&json!(7_000_000_000_i64), &json!(80)));
    install.fails("budgets create --user alice cost=1usd/month", budget).await;
    install.fails("budgets create --user alice tokens=-1/day", "whole number").await;
    for changed in [true, false] {
        let gone = install.json(&format!("budgets delete {budget}")).await;
        assert_eq!(gone["changed"], changed);
    }

    let trail = install.json("audit list").await;
    let actions: Vec<_> =
        trail.as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "budget.delete",
            "budget.update",
            "key.update",
            "key.update",
            "key.rotate",
            "key.create",
            "user.update",
            "user.update",
            "user.create"
        ]
    );
    assert!(trail[0]["actor"].as_str().unwrap().starts_with("cli:"), "{trail}");
    assert_eq!(
        install.json("audit list --subject user --since 1h").await.as_array().unwrap().len(),
        3
    );
    install.fails("audit list --since soon", "no time").await;
    assert_eq!(install.json("audit verify").await["rows"], 9);
}

async fn a_broken_trail_fails_the_check(kind: Kind) {
    let install = Install::on(kind).await;
    for name in ["alice", "bob", "carol"] {
        install.json(&format!("users create {name}")).await;
    }
    let (good, said, _) = install.run("audit verify").await;
    assert!(good && said.contains("all 3 rows"), "{said}");
    tamper(&install.0, "delete from audit where seq = 2").await;
    let (good, said, error) = install.run("audit verify").await;
    assert!(!good && said.contains("row 2: the row is missing"), "{said}{error}");
}

async fn tables_tell_what_a_person_looks_for(kind: Kind) {
    let install = Install::on(kind).await;
    install.json("teams create red").await;
    let alice = install.json("users create alice --team red --budget cost=5usd/month").await;
    let budget = alice["budgets"][0]["id"].as_str().unwrap();
    install.json(&format!("budgets update {budget} --cap 7usd")).await;
    let (_, users, _) = install.run("users list").await;
    assert!(users.lines().any(|line| line.contains("alice") && line.contains("red")), "{users}");
    let (_, trail, _) = install.run("audit list").await;
    assert!(trail.contains("cap: 5000000000 -> 7000000000"), "{trail}");
    for line in users.lines().chain(trail.lines()) {
        assert!(line.chars().count() < 220 && line == line.trim_end(), "{line:?}");
    }
}

/// What only somebody else's hand would do.
async fn tamper(home: &Home, statement: &'static str) {
    use sqlx::Connection;
    match home {
        Home::Sqlite(_) => {
            let mut link = sqlx::SqliteConnection::connect(&home.url()).await.unwrap();
            sqlx::query(statement).execute(&mut link).await.unwrap();
        }
        Home::Postgres(_) => {
            let mut link = sqlx::PgConnection::connect(&home.url()).await.unwrap();
            sqlx::query(statement).execute(&mut link).await.unwrap();
        }
    }
}
