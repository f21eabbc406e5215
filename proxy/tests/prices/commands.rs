//! `tollgate prices`, as an operator types it.

use crate::desk::{Books, Desk};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with a configuration and a database.
struct Office {
    folder: TempDir,
    url: String,
}

impl Office {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("books.db").display());
        Self { folder, url }
    }

    /// Of a server that runs.
    fn of(desk: &Desk) -> Self {
        Self { folder: TempDir::new().unwrap(), url: desk.config.store.url.clone() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a command: whether it went well, what it printed, what it complained about.
    async fn run(&self, arguments: &[&str]) -> (bool, String, String) {
        let text = format!(
            "[store]\nurl = \"{}\"\n[[providers]]\nname = \"openai\"\nkind = \"openai\"\n\
             [[providers]]\nname = \"gpt\"\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:9\"\n\
             [[prices]]\nmodel = \"gpt/*\"\ninput = \"1\"\noutput = \"1\"\n",
            self.url
        );
        let config = self.file("tollgate.toml", &text);
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .arg("--config")
            .arg(config)
            .arg("prices")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let (good, said, error) = self.run(&[arguments, &["--json"]].concat()).await;
        assert!(good, "{arguments:?}: {error}");
        serde_json::from_str(&said).unwrap()
    }

    async fn refusal(&self, arguments: &[&str]) -> String {
        let (good, said, error) = self.run(arguments).await;
        assert!(!good && said.is_empty(), "{arguments:?}: {said}");
        error
    }
}

#[tokio::test]
async fn a_price_is_set_listed_and_taken_back() {
    let office = Office::new();
    let listed = office.json(&["list", "--model", "openai/gpt-5"]).await;
    assert!(listed[0]["version"].as_str().unwrap().starts_with("list:"), "{listed}");
    assert_eq!(listed[0]["tools"]["web_search"], "10");
    let set = ["set", "openai/gpt-5", "--input", "0.15", "--output", "0.60"];
    let more = ["--cache-read", "0.05", "--tool", "web_search=8", "--tool", "file_search=2"];
    let version = office.json(&[&set[..], &more].concat()).await[0]["version"].clone();
    let listed = office.json(&["list", "--model", "openai/gpt-5"]).await;
    let prices = listed.as_array().unwrap();
    assert_eq!(prices.len(), 1, "{listed}");
    assert_eq!((&prices[0]["version"], &prices[0]["cache_read"]), (&version, &json!("0.05")));
    assert_eq!(prices[0]["tools"], json!({"web_search": "8", "file_search": "2"}));
    let (_, table, _) = office.run(&["list", "--model", "openai/gpt-5"]).await;
    assert!(table.contains("web_search 8/1000") && table.contains("0.60"), "{table}");
    assert_eq!(office.json(&["history", "openai/gpt-5"]).await[0]["state"], "in_force");
    assert_eq!(office.json(&["remove", "openai/gpt-5"]).await["ended"], 1);
    assert_eq!(office.json(&["history"]).await[0]["state"], "ended");
    let listed = office.json(&["list", "--model", "openai/gpt-5"]).await;
    assert!(listed[0]["version"].as_str().unwrap().starts_with("list:"), "{listed}");
    let gpu = office.json(&["set", "local/qwen", "--gpu-second", "0.0006"]).await;
    assert_eq!(
        (&gpu[0]["price"]["gpu_second"], &gpu[0]["price"]["input"]),
        (&json!("0.0006"), &json!("0"))
    );
}

#[tokio::test]
async fn a_price_of_the_future_is_listed_for_then() {
    let office = Office::new();
    let set = ["set", "openai/gpt-5", "--input", "7", "--output", "8", "--from", "2999-01-01"];
    let (good, said, error) = office.run(&set).await;
    assert!(good && said.contains("2999-01-01"), "{said} {error}");
    let input = async |more: &[&str]| {
        office.json(&[&["list", "--model", "openai/gpt-5"][..], more].concat()).await[0]["input"]
            .clone()
    };
    assert_ne!(input(&[]).await, "7");
    assert_eq!(input(&["--at", "2999-01-02"]).await, "7");
    assert_eq!(office.json(&["history"]).await[0]["state"], "future");
    let error = office
        .refusal(&["set", "a/b", "--input", "1", "--output", "1", "--from", "2020-01-01"])
        .await;
    assert!(error.contains("past"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_a_price_is_refused_with_its_field() {
    let office = Office::new();
    for (arguments, told) in [
        (&["set", "gpt", "--input", "1", "--output", "1"][..], "<provider>/<model>"),
        (&["set", "a/b", "--input", "1,5", "--output", "1"], "1,5"),
        (&["set", "a/b", "--input", "1", "--output", "99999999999"], "output"),
        (&["set", "a/b", "--input", "1", "--output", "1", "--tool", "web_serch=1"], "web_search"),
        (&["set", "a/b", "--input", "1", "--output", "1", "--tool", "web_search"], "web_search=10"),
        (&["set", "a/b", "--input=-1", "--output", "1"], "-1"),
        (&["set", "a/b", "--input", "1"], "--output"),
        (&["set", "a/b", "--gpu-second", "1", "--max-seconds", "0"], "max_seconds"),
        (&["set", "a/b", "--input", "1", "--output", "1", "--from", "soon"], "soon"),
        (&["remove", "a/b"], "a/b"),
        (&["recompute"], "--dry-run"),
        (&["import", "nowhere.toml"], "nowhere.toml"),
    ] {
        let error = office.refusal(arguments).await;
        assert!(error.contains(told), "{arguments:?}: {error}");
    }
    assert_eq!(office.json(&["history"]).await, json!([]));
}

#[tokio::test]
async fn a_price_file_with_a_typo_is_refused_with_path_and_line_and_nothing_is_lost() {
    let office = Office::new();
    let good = "[[prices]]\nmodel = \"gpt/a\"\ninput = \"1\"\noutput = \"2\"\n\
        [[prices]]\nmodel = \"gpt/b*\"\ninput = \"3\"\noutput = \"4\"\n";
    let path = office.file("prices.toml", good);
    let path = path.to_str().unwrap();
    assert_eq!(office.json(&["import", path]).await.as_array().unwrap().len(), 2);
    let before = office.json(&["history"]).await;
    for (from, to, line, told) in [
        ("output = \"4\"", "outptu = \"4\"", 8, "did you mean `output`?"),
        ("output = \"4\"", "output = \"4..0\"", 8, "4..0"),
        ("model = \"gpt/b*\"", "model = \"gpt/a\"", 6, "already"),
        ("[[prices]]\nmodel = \"gpt/b*\"", "[[prices]\nmodel = \"gpt/b*\"", 5, ""),
    ] {
        std::fs::write(Path::new(path), good.replace(from, to)).unwrap();
        let error = office.refusal(&["import", path]).await;
        assert!(error.contains(&format!("{path}:{line}: ")), "{error}");
        assert!(error.contains(told), "{told} is not in: {error}");
        assert_eq!(office.json(&["history"]).await, before);
    }
}

#[tokio::test]
async fn recompute_shows_old_and_new_beside_a_running_server() {
    let written = "[[prices]]\nmodel = \"gpt/*\"\ninput = \"1\"\noutput = \"1\"\n";
    for books in [Books::Sqlite, Books::Postgres] {
        let desk = Desk::start(books, written, None).await;
        assert_eq!(desk.chat("tokens=3").await.0, StatusCode::OK);
        let before = desk.entries().await;
        let office = Office::of(&desk);
        office.json(&["set", "gpt/m", "--input", "2", "--output", "2"]).await;
        let told = office.json(&["recompute", "--dry-run", "--since", "1d"]).await;
        let old = before[0].cost_nano_usd.unwrap();
        assert_eq!((&told[0]["group"], &told[0]["requests"]), (&json!("gpt/m"), &json!(1)));
        assert_eq!(
            (&told[0]["old_nano_usd"], &told[0]["new_nano_usd"]),
            (&json!(old), &json!(2 * old))
        );
        let (good, table, error) =
            office.run(&["recompute", "--dry-run", "--group-by", "user"]).await;
        assert!(good && table.contains("alice") && table.contains("+$"), "{table} {error}");
        let error = office.refusal(&["recompute"]).await;
        assert!(error.contains("nothing is priced again"), "{error}");
        assert_eq!(desk.entries().await, before);
    }
}
