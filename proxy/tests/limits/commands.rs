//! Limits from the command line.

use serde_json::Value;
use std::process::Output;
use tempfile::TempDir;

/// A folder with a configuration in it; its books are new.
struct Desk(TempDir);

impl Desk {
    fn new(more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let text = format!("[store]\nurl = \"sqlite:{}/t.db\"\n{more}", folder.path().display());
        std::fs::write(folder.path().join("tollgate.toml"), text).unwrap();
        Self(folder)
    }

    async fn run(&self, command: &str) -> (Option<i32>, String, String) {
        let program = env!("CARGO_BIN_EXE_tollgate");
        let output = tokio::process::Command::new(program)
            .args(command.split(' '))
            .current_dir(self.0.path())
            .env_clear()
            .output();
        let Output { status, stdout, stderr } = output.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    async fn json(&self, command: &str) -> Value {
        let (code, said, why) = self.run(command).await;
        assert_eq!(code, Some(0), "{command}: {why}");
        serde_json::from_str(&said).unwrap()
    }
}

#[tokio::test]
async fn a_limit_is_made_listed_changed_and_deleted() {
    let desk = Desk::new("");
    desk.json("users create alice --json").await;
    let key = desk.json("keys create --user alice --json").await;
    let made = desk
        .json("limits create --user alice --requests 60/minute --tokens 1_000/minute --json")
        .await;
    assert_eq!(
        (&made["requests_per_minute"], &made["tokens_per_minute"]),
        (&60.into(), &1000.into())
    );
    assert_eq!((&made["concurrent"], &made["queue_ms"]), (&Value::Null, &0.into()));
    let id = made["id"].as_str().unwrap();
    let of_key = format!(
        "limits create --key {} --concurrent 4 --queue 2s --json",
        key["id"].as_str().unwrap()
    );
    assert_eq!(desk.json(&of_key).await["queue_ms"], 2000);
    let (code, ..) = desk.run("limits create --model local/* --requests 0/minute").await;
    assert_eq!(code, Some(0));
    assert_eq!(desk.json("limits list --json").await.as_array().unwrap().len(), 3);
    let (_, table, _) = desk.run("limits list").await;
    for word in ["alice", "60 requests/minute", "4 calls at once", "local/*", "2 s queue"] {
        assert!(table.contains(word), "{word} is not in: {table}");
    }
    let (code, said, _) =
        desk.run(&format!("limits update {id} --tokens none --concurrent 3")).await;
    assert_eq!(code, Some(0));
    assert!(said.contains("alice is limited to 60 requests/minute, any tokens, 3 calls"), "{said}");
    assert_eq!(desk.run(&format!("limits delete {id}")).await.0, Some(0));
    let again = desk.run(&format!("limits delete {id}")).await;
    assert!(again.0 == Some(0) && again.1.contains("before"), "{again:?}");
    // Who made, changed and deleted it is on record.
    let record = desk.json("audit list --json").await.to_string();
    for deed in ["limit.create", "limit.update", "limit.delete"] {
        assert!(record.contains(deed), "{deed} is not in: {record}");
    }
    assert_eq!(desk.json("limits list --json").await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_sentence_and_nothing_is_made() {
    let desk = Desk::new("");
    desk.json("users create alice --json").await;
    for (command, code, why) in [
        ("limits create --user alice", 2, "required"),
        ("limits create --requests 5/minute", 2, "required"),
        ("limits create --user alice --key k --requests 5/minute", 2, "cannot be used with"),
        ("limits create --user alice --requests -5/minute", 2, "-5"),
        ("limits create --user alice --requests 1.5/minute", 2, "no rate"),
        ("limits create --user alice --requests 99999999999/minute", 2, "at most 60000000"),
        ("limits create --user alice --tokens 5/hour", 2, "60/minute"),
        ("limits create --user alice --concurrent 5000000000", 2, "number of calls"),
        ("limits create --user alice --concurrent 5 --queue 6m", 2, "at most 5m"),
        ("limits create --user alice --queue 5s", 1, "limit nothing"),
        ("limits create --user alice --requests none", 1, "limit nothing"),
        ("limits create --user bob --requests 5/minute", 1, "bob"),
        ("limits create --team alice --requests 5/minute", 1, "no team"),
        ("limits create --key nobody --requests 5/minute", 1, "no key"),
        ("limits create --model gpt --requests 5/minute", 1, "openai/*"),
        ("limits update nothing --requests 5/minute", 1, "no limit has the id"),
        ("limits delete nothing", 1, "no limit has the id"),
    ] {
        let (exit, _, said) = desk.run(command).await;
        assert_eq!(exit, Some(code), "{command}: {said}");
        assert!(said.contains(why), "{command}: {why} is not in: {said}");
    }
    assert_eq!(desk.json("limits list --json").await, Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_wrong_redis_is_found_when_the_configuration_is_checked_and_its_password_is_not_told() {
    for (section, named) in [
        ("[redis]\nurl = \"http://:s3cret@h\"\n", "redis.url"),
        ("[redis]\nurl = \"redis://:s3cret@h:port\"\n", "redis.url"),
        ("[redis]\non_failure = \"hang\"\n", "on_failure"),
        ("[redis]\ntimeout_ms = 0\n", "timeout_ms"),
        ("[redis]\nurll = \"redis://h\"\n", "did you mean `url`"),
    ] {
        let (code, _, said) = Desk::new(section).run("config check").await;
        assert_eq!(code, Some(1), "{section}");
        assert!(said.contains(named) || said.contains("hang"), "{section}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    let (code, said, _) =
        Desk::new("[redis]\nurl = \"redis://:s3cret@h\"\n").run("config check").await;
    assert_eq!(code, Some(0));
    assert!(!said.contains("s3cret"), "{said}");
}
