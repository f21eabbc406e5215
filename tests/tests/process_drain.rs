//! SIGTERM during streams, and two servers that want the same port or database.

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tollgate_bench::Mock;
use tollgate_tests::process::{Install, Key, Server, mock_provider};

async fn started(mock: &Mock, server_settings: &str) -> (Install, Server, Key) {
    let install = Install::new("");
    install.configure(&format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{server_settings}\n{}",
        mock_provider(mock)
    ));
    install.user("alice").await;
    let key = install.key("alice", &["--budget", "cost=1usd/day"]).await;
    let server = install.serve().await;
    (install, server, key)
}

#[tokio::test]
async fn a_stream_that_runs_at_sigterm_finishes_while_no_new_work_is_taken() {
    let mock = Mock::start().await.unwrap();
    let (install, server, key) = started(&mock, "").await;
    let api = server.api(&key);
    assert_eq!(api.get("/health/ready").await.0, 200);
    let mut stream = api.stream("mock/echo", "[[mock tokens=100 delay=20]]", 200).await.unwrap();
    stream.deltas(3).await;
    server.terminate().await;
    let events = stream.rest().await;
    let finish = events.last().unwrap();
    assert_eq!((&finish["type"], &finish["usage"]["output"]), (&json!("finish"), &json!(100)));
    assert_eq!(server.ended().await, Some(0));

    let rows = install.rows().await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (&rows[0]["disposition"], &rows[0]["usage"]["output"]),
        (&json!("settled"), &json!(100))
    );
    assert_eq!(install.budgets().await[0]["held"], 0);
}

#[tokio::test]
async fn streams_that_outlast_the_drain_time_end_with_an_error_and_have_their_rows() {
    let mock = Mock::start().await.unwrap();
    let (install, server, key) = started(&mock, "drain_seconds = 1").await;
    let api = server.api(&key);
    let endless = "[[mock tokens=5000 delay=20]]";
    let mut native = api.stream("mock/echo", endless, 5000).await.unwrap();
    let chat = json!({"model": "mock/echo", "stream": true, "max_tokens": 5000,
        "messages": [{"role": "user", "content": endless}]});
    let mut openai = api.events("/v1/chat/completions", &chat).await.unwrap();
    native.deltas(3).await;
    openai.next().await.unwrap();
    let began = Instant::now();
    server.terminate().await;
    let (native, openai) = (native.rest().await, openai.rest().await);
    let last = native.last().unwrap();
    assert_eq!((&last["type"], &last["error"]["kind"]), (&json!("error"), &json!("overloaded")));
    assert!(last["error"]["request_id"].is_string(), "{last}");
    let last = openai.last().unwrap();
    assert!(last["error"]["message"].as_str().unwrap().contains("shutting down"), "{last}");
    assert!(!openai.contains(&json!("[DONE]")));
    assert_eq!(server.ended().await, Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());

    let rows = install.rows().await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    for row in &rows {
        assert_eq!(row["disposition"], "cancelled", "{row}");
        assert!(row["usage"]["output"].as_u64().unwrap() >= 3, "{row}");
    }
    let budget = &install.budgets().await[0];
    let cost: u64 = rows.iter().map(|row| row["cost_nano_usd"].as_u64().unwrap()).sum();
    assert_eq!((&budget["held"], budget["spent"].as_u64()), (&Value::from(0), Some(cost)));
    assert!(mock.saw_aborts(2, Duration::from_secs(5)).await, "the upstream was not stopped");
}

#[tokio::test]
async fn a_second_server_on_the_same_database_is_refused() {
    let mock = Mock::start().await.unwrap();
    let (install, server, key) = started(&mock, "").await;
    install
        .tollgate(&["serve"])
        .await
        .failed_with(1, &["another tollgate server", "data/tollgate.db", "store.url"]);
    server.api(&key).ask("mock/echo", "the first works on", 50).await;
    // Its claim dies with it.
    server.kill().await;
    let server = install.serve().await;
    server.api(&key).ask("mock/echo", "the next one too", 50).await;
    assert_eq!(install.rows().await.len(), 2);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let mock = Mock::start().await.unwrap();
    let install = Install::new("");
    let taken = mock.addr().to_string();
    install.configure(&format!("[server]\nlisten = \"{taken}\""));
    install.tollgate(&["serve"]).await.failed_with(1, &[&taken, "in use", "server.listen"]);
}
