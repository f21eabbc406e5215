//! The doctor's own program beside a real server, and after its kill.
#![cfg(test)]

use serde_json::{Value, json};
use std::{
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use tollgate_bench::{
    Mock, on_both_engines,
    private::{Home, Kind},
};

on_both_engines!(
    what_a_killed_server_left_is_found_by_command_and_repaired,
    a_fresh_install_is_healthy_and_says_so,
);

struct Install {
    home: Home,
    folder: tempfile::TempDir,
}

impl Install {
    async fn new(kind: Kind, mock: &Mock) -> Self {
        let home = Home::fresh(kind).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"{}\"\n[ledger]\nlease_seconds = 3\n\
             [[providers]]\nname = \"mock\"\nkind = \"openai\"\nbase_url = \"{}\"\n\
             [[prices]]\nmodel = \"mock/*\"\ninput = \"1\"\noutput = \"2\"\n",
            home.url(),
            mock.base_url()
        );
        std::fs::write(folder.path().join("tollgate.toml"), text).unwrap();
        Self { home, folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        let folder = self.folder.path();
        command.args(arguments).current_dir(folder).env_clear().env("USER", "tess");
        command.kill_on_drop(true);
        command
    }

    /// Exit code, standard output and standard error.
    async fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().await.unwrap();
        let Output { status, stdout, stderr } = output;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    async fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let (ended, out, err) = self.run(arguments).await;
        assert_eq!(ended, code, "{arguments:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    async fn serve(&self) -> (Child, String) {
        let mut child =
            self.command(&["serve"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().expect("the server starts");
        (child, line.split_whitespace().last().unwrap().to_owned())
    }
}

fn check<'r>(report: &'r Value, name: &str) -> &'r Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

fn broken(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().unwrap().iter();
    let broken = checks.filter(|check| check["state"] == "broken");
    broken.map(|check| check["name"].as_str().unwrap()).collect()
}

/// An answer that is far from its end, and the id of its request.
async fn begun(url: &str, key: &Value) -> (reqwest::Response, String) {
    // The workspace builds its HTTP client without a provider of cryptography.
    let installed = rustls::crypto::ring::default_provider().install_default();
    assert!(installed.is_ok() || rustls::crypto::CryptoProvider::get_default().is_some());
    let question = json!({
        "model": "mock/echo", "stream": true, "max_tokens": 500,
        "messages": [{"role": "user", "content": "[[mock tokens=400 delay=50]]"}],
    });
    let asked = reqwest::Client::new()
        .post(format!("{url}/v1/chat/completions"))
        .bearer_auth(key["key"].as_str().unwrap())
        .json(&question)
        .send();
    let mut answer = asked.await.unwrap();
    assert_eq!(answer.status(), 200);
    let request_id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    answer.chunk().await.unwrap();
    (answer, request_id)
}

async fn what_a_killed_server_left_is_found_by_command_and_repaired(kind: Kind) {
    let mock = Mock::start().await.unwrap();
    let install = Install::new(kind, &mock).await;
    let created = install.run(&["users", "create", "alice"]).await;
    assert_eq!(created.0, 0, "{created:?}");
    let budget = ["--budget", "tokens=100000/total"];
    let key = ["keys", "create", "--user", "alice", "--json", budget[0], budget[1]];
    let key = install.json(0, &key).await;
    let (mut server, url) = install.serve().await;
    let (_answer, request_id) = begun(&url, &key).await;

    let holds = install.json(0, &["holds", "list", "--json"]).await;
    let hold = &holds["holds"][0];
    assert_eq!(hold["request_id"], request_id);
    assert_eq!((&hold["server"], &hold["model"]), (&json!("alive"), &json!("mock/echo")));
    let (_, table, _) = install.run(&["holds", "list"]).await;
    assert!(table.contains(&request_id) && table.contains("alice"), "{table}");
    let report = install.json(0, &["doctor", "--json"]).await;
    assert_eq!(report["healthy"], true, "{report}");
    assert!(check(&report, "held")["found"].as_str().unwrap().contains("1 open hold"), "{report}");

    server.kill().await.unwrap();
    if kind == Kind::Postgres {
        // Until its lease has run out it might be alive behind a broken cable.
        let list = ["holds", "list", "--json"];
        let dead = async { while install.json(0, &list).await["holds"][0]["server"] == "alive" {} };
        tokio::time::timeout(Duration::from_secs(60), dead).await.unwrap();
    }
    orphan_is_told_and_settled(&install, &request_id).await;
}

async fn orphan_is_told_and_settled(install: &Install, request_id: &str) {
    let report = install.json(1, &["doctor", "--json"]).await;
    assert_eq!(broken(&report), ["orphans"], "{report}");
    assert_eq!(check(&report, "orphans")["details"][0]["request_id"], request_id);
    let (code, out, err) = install.run(&["doctor"]).await;
    assert_eq!(code, 1);
    assert!(out.contains(request_id) && out.contains("tollgate doctor --repair"), "{out}");
    assert!(err.contains("checks found something broken"), "{err}");

    let planned = install.json(1, &["doctor", "--repair", "--dry-run", "--json"]).await;
    let repaired = install.json(0, &["doctor", "--repair", "--json"]).await;
    assert_eq!(planned["repairs"], repaired["repairs"]);
    assert_eq!(repaired["repairs"][0]["after"]["disposition"], "unknown");
    let again = install.json(0, &["doctor", "--repair", "--json"]).await;
    assert_eq!(again["repairs"], json!([]));
    let usage = install.json(0, &["usage", "--rows", "5", "--json"]).await;
    assert_eq!(usage["rows"][0]["disposition"], "unknown", "{usage}");
    let budgets = install.json(0, &["budgets", "list", "--json"]).await;
    assert_eq!(budgets[0]["held"], 0, "{budgets}");
}

async fn a_fresh_install_is_healthy_and_says_so(kind: Kind) {
    let mock = Mock::start().await.unwrap();
    let install = Install::new(kind, &mock).await;
    // Nothing is made by looking.
    let report = install.json(1, &["doctor", "--json"]).await;
    let expected = if kind == Kind::Sqlite { "database" } else { "migrations" };
    assert_eq!(broken(&report), [expected], "{report}");
    let migrated = install.json(0, &["migrate", "--json"]).await;
    assert!(migrated["migrations"].as_u64().unwrap() >= 2, "{migrated}");
    if let Home::Postgres(database) = &install.home {
        let url = database.url();
        let user = url.split_once('@').unwrap().0.trim_start_matches("postgres://");
        let password = user.split_once(':').map(|(_, password)| password);
        assert!(password.is_none_or(|p| !migrated.to_string().contains(p)), "{migrated}");
    }
    let (code, out, err) = install.run(&["doctor"]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("right in all: 0 windows"), "{out}");
    let (code, out, _) = install.run(&["doctor", "--repair"]).await;
    assert_eq!(code, 0);
    assert!(out.starts_with("nothing to repair"), "{out}");
    assert_eq!(install.run(&["doctor", "--dry-run"]).await.0, 2, "only with --repair");
    std::fs::write(install.folder.path().join("tollgate.toml"), "[stoer]\n").unwrap();
    let report = install.json(1, &["doctor", "--json"]).await;
    assert_eq!(broken(&report), ["configuration"]);
    assert!(check(&report, "configuration")["found"].as_str().unwrap().contains("stoer"));
}
