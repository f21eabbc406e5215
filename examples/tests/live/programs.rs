//! The programs, as somebody runs them.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};
use tollgate_adapter_tests::Place;

fn run(program: &str, arguments: &[&str], place: &Place, input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .env("TOLLGATE_URL", &place.url)
        .env("TOLLGATE_API_KEY", &place.key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    String::from_utf8(out.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_is_a_program() {
    let place = Place::start().await;
    let model = ["--model", "openai/mock-tools=2,fill,once"];
    let told = said(&run(env!("CARGO_BIN_EXE_agent_remote"), &model, &place, ""));
    assert!(told.contains("tool    calculator"), "{told}");
    assert!(told.contains("cost    $0."), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_is_a_program() {
    let place = Place::start().await;
    let arguments = ["--model", "openai/mock-echo", "--context", "600", "--max-output", "50"];
    let program = env!("CARGO_BIN_EXE_session_remote");
    let told = said(&run(program, &arguments, &place, "first words\n\nlast words\n"));
    assert!(told.starts_with("answer  first words\nanswer  last words\ntokens  "), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_team_is_a_program() {
    let place = Place::start().await;
    let lead = "openai/mock-tools=2,fill,once";
    let arguments = ["--model", "openai/mock-echo", "--lead", lead, "--budget", "requests=2/day"];
    let told = said(&run(env!("CARGO_BIN_EXE_team_remote"), &arguments, &place, ""));
    assert!(told.contains("researcher: w0 -> w0\nwriter: w0 -> w0\n"), "{told}");
    assert!(told.contains("1 requests of 2 requests left"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_fail_say_why() {
    let place = Place::start().await;
    for program in [
        env!("CARGO_BIN_EXE_agent_remote"),
        env!("CARGO_BIN_EXE_session_remote"),
        env!("CARGO_BIN_EXE_team_remote"),
    ] {
        let output = run(program, &["--model", "nowhere/none"], &place, "hello\n");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.starts_with("error: "), "{program}: {told}");
        assert!(!told.contains("tg_"), "{told}");
    }
}
