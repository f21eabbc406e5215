//! The official OpenAI Python SDK, unmodified, with Tollgate keys, against the real local model.

use serde_json::json;
use std::path::Path;
use tollgate_bench::Mock;
use tollgate_tests::process::{Install, REAL_MODEL, mock_provider, python, real_provider};

#[tokio::test]
async fn the_official_python_sdk_works_unmodified() {
    let python = python();
    let mock = Mock::start().await.unwrap();
    let install = Install::new(&(mock_provider(&mock) + &real_provider()));
    install.user("alice").await;
    let server = install.serve().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/openai_sdk.py");
    let mut command = install.command(python);
    command.arg(script).env("TOLLGATE_URL", server.url()).env("REAL_MODEL", REAL_MODEL);
    for (name, arguments) in [
        ("KEY_ALL", &["--budget", "cost=1usd/day"][..]),
        ("KEY_ONLY_CHAT", &["--feature", "chat"]),
        ("KEY_ONLY_MOCK", &["--model", "mock/*"]),
        ("KEY_RATE", &["--rate", "1/minute"]),
        ("KEY_POOR", &["--budget", "tokens=5/month"]),
    ] {
        command.env(name, install.key("alice", arguments).await.text);
    }
    let ran = install.run(command).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);

    // What the SDK was told is in the books, and no call is open.
    let rows = install.rows().await;
    let real: Vec<_> = rows.iter().filter(|row| row["provider"] == "local").collect();
    assert!(real.len() >= 10, "{rows:?}");
    for row in real {
        match row["disposition"].as_str().unwrap() {
            "settled" | "cancelled" => assert!(row["cost_nano_usd"].as_u64() > Some(0), "{row}"),
            _ => assert_eq!(
                (&row["error"], &row["cost_nano_usd"]),
                (&json!("context_length"), &json!(0))
            ),
        }
    }
    assert!(install.budgets().await.iter().all(|budget| budget["held"] == 0));
}
