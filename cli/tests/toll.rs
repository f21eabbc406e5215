//! The `toll` binary against a server that plays a script.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

#[expect(dead_code, reason = "the client's tests play more of it")]
#[path = "../../client-sdk/tests/remote/server.rs"]
mod server;

use server::{Reply, Server};
use std::process::{Output, Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
};

const KEY: &str = "tg_01KEY_sup3rs3cr3t_c0ffee";

const START: &str = "data: {\"type\":\"start\",\"origin\":{\"api\":\"m\",\"provider\":\"m\",\"model\":\"m\"}}\n\n\
    data: {\"type\":\"part_start\",\"index\":0,\"part\":{\"type\":\"reasoning\",\"text\":\"hm\"}}\n\n\
    data: {\"type\":\"part_start\",\"index\":1,\"part\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
    data: {\"type\":\"part_delta\",\"index\":0,\"delta\":\"mmm\"}\n\n\
    data: {\"type\":\"part_delta\",\"index\":1,\"delta\":\"blue \"}\n\n";
const FINISH: &str = "data: {\"type\":\"part_delta\",\"index\":1,\"delta\":\"sky\"}\n\n\
    data: {\"type\":\"finish\",\"finish\":{\"reason\":\"length\"},\"usage\":{\"input\":3,\"output\":2},\
    \"receipt\":{\"request_id\":\"req-1\",\"cost_nano_usd\":70000,\"budgets\":[{\"budget\":\"b\",\
    \"owner\":\"user:alice\",\"resource\":\"tokens\",\"window\":\"day\",\"cap\":100,\"spent\":5,\
    \"held\":0,\"resets_at_ms\":1795000000000}]}}\n\n";

fn toll(server: &Server, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toll"));
    command
        .args(args)
        .env("TOLLGATE_URL", &server.url)
        .env("TOLLGATE_API_KEY", KEY)
        .env("TOLLGATE_MODEL", "mock/echo")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(replies: Vec<Reply>, args: &[&str]) -> (Option<i32>, String, String) {
    let server = Server::play(replies).await;
    let Output { status, stdout, stderr } = toll(&server, args).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(stdout), text(stderr));
    assert!(!format!("{out}{err}").contains("sup3rs3cr3t"), "{out}{err}");
    (status.code(), out, err)
}

#[tokio::test]
async fn a_question_is_answered_on_stdout_and_accounted_for_on_stderr() {
    let (code, out, err) =
        run(vec![Reply::events(&[START, FINISH])], &["chat", "Which sky?"]).await;
    assert_eq!((code, out.as_str()), (Some(0), "blue sky\n"));
    for part in ["output limit", "3 tokens in, 2 out, $0.00007, request req-1", "95 of 100 left"] {
        assert!(err.contains(part), "{part} is missing in {err}");
    }
}

#[tokio::test]
async fn what_is_piped_in_is_asked() {
    let mut server = Server::play(vec![Reply::events(&[START, FINISH])]).await;
    let mut command = toll(&server, &["chat", "--system", "Be brief", "--max-output", "9"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"piped words").await.unwrap();
    assert!(child.wait().await.unwrap().success());
    let sent = server.request().await.body;
    for part in ["piped words", "Be brief", "\"max_output_tokens\":9", "\"model\":\"mock/echo\""] {
        assert!(sent.contains(part), "{part} is missing in {sent}");
    }
}

#[tokio::test]
async fn a_used_up_budget_fails_with_its_numbers() {
    let refusal = r#"{"error":{"kind":"quota_exceeded","message":"the budget is used up",
        "retryable":false,"blame":"caller","quota":{"budget":"b","owner":"user:alice",
        "resource":"cost","window":"total","cap":5000000000,"spent":4900000000,"held":0}}}"#;
    let (code, out, err) = run(vec![Reply::body(402, refusal)], &["chat", "hi"]).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    for part in ["error: the budget is used up", "request id: req-1", "$0.10 of $5.00 left"] {
        assert!(err.contains(part), "{part} is missing in {err}");
    }
}

#[tokio::test]
async fn a_refused_key_names_the_variable_to_check() {
    let refused = Reply::error(401, "authentication", false);
    let (code, _, err) = run(vec![refused], &["models"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("TOLLGATE_API_KEY"), "{err}");
}

#[tokio::test]
async fn bad_usage_has_a_status_of_its_own() {
    for args in [
        &["chat", "--temperature", "warm"][..],
        &["--api-key", "a b", "models"],
        &["--url", "ftp://host", "models"],
        &["usage", "--group-by", "colour"],
        &["chat"],
        &["nonsense"],
        &[],
    ] {
        let (code, out, err) = run(vec![], args).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!err.is_empty());
    }
}

#[tokio::test]
async fn lists_are_tables_or_json() {
    let models = r#"{"models":[{"id":"mock/echo","aliases":["fast"],"context_window":8192,
        "features":["chat"],"price":{"input":"0.15","output":"0.60"}},{"id":"mock/b"}]}"#;
    let (_, table, _) = run(vec![Reply::body(200, models)], &["models"]).await;
    assert_eq!(
        table,
        "model      aliases  context  in $/M  out $/M  features\n\
         mock/echo  fast        8192    0.15     0.60  chat\n\
         mock/b                    -       -        -\n"
    );
    let (_, json, _) = run(vec![Reply::body(200, models)], &["models", "--json"]).await;
    assert!(json.starts_with(r#"{"models":[{"id":"mock/echo""#), "{json}");
}

#[tokio::test]
async fn usage_is_shown_in_groups_and_rows() {
    let report = r#"{"group_by":"model","groups":[{"group":"echo","requests":2,
        "usage":{"input":10,"output":4},"cost_nano_usd":1500000000}],
        "total":{"group":"","requests":2,"usage":{"input":10,"output":4},
        "cost_nano_usd":1500000000,"unpriced":1},
        "rows":[{"request_id":"r,1","started_ms":0,"user":"alice","key_id":"k","provider":"mock",
        "model":"echo","disposition":"settled","usage":{"input":5,"output":2},
        "cost_nano_usd":7,"latency_ms":12,"streamed":true}]}"#;
    let reply = || vec![Reply::body(200, report)];
    let (code, table, _) = run(reply(), &["usage", "--group-by", "model", "--rows", "1"]).await;
    assert_eq!(code, Some(0));
    for part in ["echo          2         10           4  $1.50", "requests without a price: 1"] {
        assert!(table.contains(part), "{part} is missing in {table}");
    }
    let (_, csv, _) = run(reply(), &["usage", "--rows", "1", "--csv"]).await;
    assert_eq!(csv.lines().nth(1), Some("\"r,1\",0,alice,k,mock,echo,settled,5,2,7,12,,"));
}

#[tokio::test]
async fn a_reader_that_leaves_early_is_no_failure() {
    let models: Vec<_> = (0..20_000).map(|n| format!(r#"{{"id":"mock/{n}"}}"#)).collect();
    let list = format!(r#"{{"models":[{}]}}"#, models.join(","));
    let server = Server::play(vec![Reply::body(200, &list)]).await;
    let mut command = toll(&server, &["models"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("model"));
    drop(lines);
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupt_cancels_the_answer_and_exits_with_130() {
    let mut server = Server::play(vec![Reply::open_events(&[START]).hold()]).await;
    let mut child = toll(&server, &["chat", "hi"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut answer = BufReader::new(child.stdout.take().unwrap());
    answer.read_until(b' ', &mut Vec::new()).await.unwrap();
    let pid = child.id().unwrap().to_string();
    Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    server.hang_up().await;
}

#[tokio::test]
async fn an_estimate_is_told_with_the_budgets_that_would_refuse() {
    let estimate = r#"{"model": "mock/echo", "targets": ["mock/echo"], "max_input_tokens": 900,
        "likely_input_tokens": 20, "max_output_tokens": 50, "likely_output_tokens": 50,
        "max_cost_nano_usd": 70000, "fits": false, "budgets": [
        {"budget": {"budget": "b", "owner": "user:alice", "resource": "tokens", "window": "day",
            "cap": 100, "spent": 5, "held": 0}, "amount": 950, "refusal": "too little is left"},
        {"budget": {"budget": "c", "owner": "user:alice", "resource": "cost", "window": "day",
            "cap": 1000000, "spent": 0, "held": 0}, "amount": 70000, "max_output_tokens": 50}]}"#;
    let (code, out, err) = run(vec![Reply::body(200, estimate)], &["estimate", "Which sky?"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for part in
        ["900", "$0.00007", "refused: too little is left", "sets aside $0.00007 in: cost of"]
    {
        assert!(out.contains(part), "{part} is missing in {out}");
    }
    let (_, out, _) =
        run(vec![Reply::body(200, estimate)], &["estimate", "--json", "Which sky?"]).await;
    assert!(out.contains(r#""max_cost_nano_usd":70000"#), "{out}");
}

const DELEGATED: &str = r#"{"id":"01kid","name":"agent","key":"tg_01kid_other_c0ffee","depth":1,
    "created_ms":1795000000000,"expires_ms":1795000600000,"permissions":{},"budgets":[{"budget":"b",
    "owner":"key:01kid","resource":"requests","window":"day","cap":9,"spent":2,"held":0}]}"#;

#[tokio::test]
async fn a_key_is_delegated_listed_and_revoked() {
    let mut server = Server::play(vec![Reply::body(201, DELEGATED)]).await;
    let args = ["delegate", "create", "--name", "agent", "--budget", "requests=9/day", "--feature"];
    let output = toll(&server, &args).args(["chat", "--expires-in", "600"]).output().await.unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.starts_with("tg_01kid_other_c0ffee\n01kid works until "), "{out}");
    let asked = server.request().await;
    assert!(asked.line.starts_with("POST /api/v1/auth/delegate "), "{}", asked.line);
    for part in [r#""name":"agent""#, r#""expires_in_seconds":600"#, r#""features":["chat"]"#] {
        assert!(asked.body.contains(part), "{part} is not in {}", asked.body);
    }
    let list = format!(r#"{{"keys":[{}]}}"#, DELEGATED.replace("tg_01kid_other_c0ffee", ""));
    let (code, out, _) = run(vec![Reply::body(200, &list)], &["delegate", "list"]).await;
    assert!(code == Some(0) && out.contains("agent") && out.contains("7"), "{out}");
    let revoked = vec![Reply::body(200, r#"{"revoked":"01kid"}"#)];
    let (code, out, _) = run(revoked, &["delegate", "revoke", "01kid"]).await;
    assert!(code == Some(0) && out.starts_with("01kid works no more"), "{out}");
    let (code, _, err) = run(Vec::new(), &["delegate", "create", "--budget", "much"]).await;
    assert_eq!(code, Some(2), "{err}");
}
