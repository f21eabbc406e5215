//! A fresh install set up by commands alone, beside a server that runs.

use serde_json::Value;
use std::time::Duration;
use tollgate_bench::Mock;
use tollgate_tests::process::{Install, mock_provider, program, text_of, until};

/// How soon what a command does must hold for a server that runs.
const SOON: Duration = Duration::from_secs(1);

/// Every option that the command promises.
const WHOLE_ORDER: [&str; 17] = [
    "--role",
    "member",
    "--model",
    "mock/*",
    "--feature",
    "chat",
    "--feature",
    "stream",
    "--budget",
    "cost=5usd/month",
    "--budget",
    "tokens=100000/month",
    "--budget",
    "requests=1000/day",
    "--rate",
    "60/minute",
    "--expires=90d",
];

#[tokio::test]
async fn a_fresh_install_is_set_up_by_commands_alone() {
    let mock = Mock::start().await.unwrap();
    let install = Install::new(&mock_provider(&mock));
    install.user("alice").await;
    let key = install.key("alice", &WHOLE_ORDER).await;
    let server = install.serve().await;
    let api = server.api(&key);
    let answer = api.ask("mock/echo", "one two three", 10).await;
    assert_eq!(text_of(&answer), "one two three");
    assert_eq!(answer["receipt"]["cost_nano_usd"], 9_000, "{answer}");
    assert_eq!(answer["receipt"]["budgets"].as_array().unwrap().len(), 3, "{answer}");
    let tools = serde_json::json!({"model": "mock/echo", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]});
    let (status, error) = api.post("/v1/chat/completions", &tools).await;
    assert_eq!((status, error["error"]["permission"].as_str()), (403, Some("feature:tools")));
    assert_eq!(mock.served(), 1);
}

#[tokio::test]
async fn a_model_that_the_named_provider_lacks_is_asked_of_no_other() {
    let mock = Mock::start().await.unwrap();
    let closed = "[[providers]]\nname = \"closed\"\nkind = \"openai\"\n\
                  base_url = \"http://127.0.0.1:9/v1\"\nmodels = [\"only-this\"]\n\n";
    let install = Install::new(&(mock_provider(&mock) + closed));
    install.user("alice").await;
    let key = install.key("alice", &[]).await;
    let server = install.serve().await;
    let body = serde_json::json!({"model": "closed/echo", "messages": [{"role": "user", "content": "private"}]});
    let (status, error) = server.api(&key).post("/v1/chat/completions", &body).await;
    assert_eq!((status, mock.served()), (404, 0), "{error}");
}

#[tokio::test]
async fn a_revoked_key_and_the_key_of_a_deleted_user_stop_within_a_second() {
    let mock = Mock::start().await.unwrap();
    let install = Install::new(&mock_provider(&mock));
    install.user("alice").await;
    let (first, second) = (install.key("alice", &[]).await, install.key("alice", &[]).await);
    let server = install.serve().await;
    let (revoked, deleted) = (server.api(&first), server.api(&second));
    for api in [&revoked, &deleted] {
        api.ask("mock/echo", "hello", 10).await;
    }
    install.tollgate(&["keys", "revoke", &first.id]).await.printed();
    until("the revoked key stops", SOON, async || revoked.get("/api/v1/models").await.0 == 401)
        .await;
    let (_, error) = revoked.get("/api/v1/models").await;
    assert_eq!(error["error"]["code"], "revoked_api_key", "{error}");
    assert_eq!(deleted.get("/api/v1/models").await.0, 200, "the other key works on");

    install.tollgate(&["users", "delete", "alice"]).await.printed();
    until("the user's key stops", SOON, async || deleted.get("/api/v1/models").await.0 == 401)
        .await;
    let (_, error) = deleted.get("/api/v1/models").await;
    assert_eq!(error["error"]["code"], "deleted_user", "{error}");
    install.tollgate(&["keys", "revoke", &first.id]).await.failed_with(1, &["revoked before"]);
    install.tollgate(&["users", "delete", "alice"]).await.failed_with(1, &["alice"]);
    assert_eq!(install.rows().await.len(), 2, "the usage stays");
}

#[tokio::test]
async fn a_key_is_printed_once_and_never_again() {
    let install = Install::new("");
    install.user("alice").await;
    let key = install.key("alice", &["--name", "laptop"]).await;
    let secret = key.text.split('_').nth(2).unwrap().to_owned();
    assert!(key.text.starts_with(&format!("tg_{}_", key.id)) && secret.len() >= 32);
    let server = install.serve().await;
    assert_eq!(server.api(&key).get("/api/v1/models").await.0, 200);
    for arguments in [
        &["keys", "list"][..],
        &["keys", "list", "--json"],
        &["keys", "list", "--user", "alice"],
        &["keys", "show", &key.id],
        &["users", "list", "--json"],
        &["usage", "--json"],
        &["budgets", "list"],
    ] {
        let ran = install.tollgate(arguments).await;
        assert!(!format!("{}{}", ran.out, ran.err).contains(&secret), "{arguments:?}");
        ran.printed();
    }
    assert!(!server.log().contains(&secret), "the log has the key");
    server.kill().await;
    for file in std::fs::read_dir(install.path("data")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the database has the key");
    }
}

#[tokio::test]
async fn every_command_shows_examples_in_its_help() {
    let install = Install::new("");
    for name in ["tollgate", "toll"] {
        let mut open = vec![Vec::<String>::new()];
        let mut commands = 0;
        while let Some(path) = open.pop() {
            let mut command = install.command(program(name));
            command.args(&path).arg("--help");
            let help = install.run(command).await.printed();
            let below = subcommands(&help);
            // A command that only has commands below it shows theirs.
            let is_group = !below.is_empty() && !path.is_empty();
            assert!(
                is_group || help.contains("Example"),
                "{name} {path:?} has no examples: {help}"
            );
            commands += 1;
            open.extend(below.into_iter().map(|below| [path.clone(), vec![below]].concat()));
        }
        assert!(commands > 4, "{name} --help was not understood");
    }
}

/// The commands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = lines.take_while(|line| line.starts_with("  "));
    let named = listed.filter(|line| !line.starts_with("   "));
    named
        .filter_map(|line| line.split_whitespace().next())
        .filter(|n| *n != "help")
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn exit_codes_tell_success_failure_and_bad_usage_apart() {
    let install = Install::new("");
    install.user("alice").await;
    for (arguments, code, words) in [
        (&["version"][..], 0, &[][..]),
        (&["config", "check"], 0, &[]),
        (&["users", "create", "alice"], 1, &["alice", "already"]),
        (&["keys", "create", "--user", "nobody"], 1, &["nobody", "users list"]),
        (&["keys", "show", "nonesuch"], 1, &["nonesuch", "keys list"]),
        (&["keys", "create", "--user", "alice", "--role", "admin"], 1, &["no administrator"]),
        (
            &["keys", "create", "--user", "alice", "--expires", "yesterday"],
            1,
            &["yesterday", "90d"],
        ),
        (&["budgets", "update", "nonesuch", "--cap", "1usd"], 1, &["nonesuch"]),
        (&["usage", "--since", "soon"], 1, &["soon", "7d"]),
        (&["models", "pull", "nonesuch"], 1, &["nonesuch", "smollm2-135m-instruct"]),
        (&["keys", "create"], 2, &["--user"]),
        (&["keys", "create", "--user", "alice", "--budget", "cost=much"], 2, &["cost=5usd/month"]),
        (&["keys", "create", "--user", "alice", "--rate", "fast"], 2, &["60/minute"]),
        (&["keys", "create", "--user", "alice", "--feature", "magic"], 2, &["magic"]),
        (&["usage", "--csv", "--json"], 2, &["--csv"]),
        (&["serv"], 2, &["serve"]),
        (&[], 2, &["Usage"]),
    ] {
        install.tollgate(arguments).await.failed_with(code, words);
    }
}

#[tokio::test]
async fn json_for_programs_parses_and_says_what_was_done() {
    let install = Install::new("");
    let user = install.tollgate(&["users", "create", "bob", "--role", "admin", "--json"]).await;
    assert_eq!(user.json()["name"], "bob");
    let key = install.key("bob", &["--role", "admin", "--budget", "cost=5usd/month"]).await;
    let budget = ["budgets", "create", "--user", "bob", "requests=10/day", "--json"];
    let budget = install.tollgate(&budget).await.json();
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    assert!(is_text(&budget["id"]), "{budget}");
    let id = budget["id"].as_str().unwrap();
    let updated = install.tollgate(&["budgets", "update", id, "--cap", "7", "--json"]).await.json();
    assert_eq!((updated["id"].as_str(), updated["cap"].as_u64()), (Some(id), Some(7)));
    let shown = install.tollgate(&["keys", "show", &key.id, "--json"]).await.json();
    assert_eq!((shown["user"].as_str(), shown["state"].as_str()), (Some("bob"), Some("in force")));
    let lists = [["users", "list"], ["keys", "list"], ["budgets", "list"], ["prices", "list"]];
    for (list, length) in lists.into_iter().zip([1, 1, 2, 0]) {
        let listed = install.tollgate(&[list[0], list[1], "--json"]).await.json();
        assert_eq!(listed.as_array().unwrap().len(), length, "{list:?}: {listed}");
    }
    for arguments in [
        &["budgets", "delete", id][..],
        &["keys", "revoke", &key.id],
        &["users", "delete", "bob"],
        &["config", "check"],
        &["usage"],
        &["migrate"],
        &["version"],
    ] {
        let said = install.tollgate(&[arguments, &["--json"]].concat()).await.json();
        assert!(said.as_object().is_some_and(|said| !said.is_empty()), "{arguments:?}: {said}");
    }
}
