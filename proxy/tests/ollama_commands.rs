//! What an operator can do with an Ollama server from the command line.
#![cfg(test)]

use serde_json::{Value, json};
use std::process::Output;
use tempfile::TempDir;
use tollgate_bench::Mock;

/// Runs the program with a configuration that names a mock Ollama and a provider of another kind.
async fn run(mock: &Mock, arguments: &[&str]) -> (bool, String, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("tollgate.toml");
    let text = format!(
        "[[providers]]\nname = \"box\"\nkind = \"ollama\"\nbase_url = \"{}\"\n\
         [[providers]]\nname = \"openai\"\nkind = \"openai\"\nbase_url = \"{}\"\n",
        mock.url(),
        mock.base_url(),
    );
    std::fs::write(&file, text).unwrap();
    let program = env!("CARGO_BIN_EXE_tollgate");
    let output = tokio::process::Command::new(program)
        .arg("--config")
        .arg(&file)
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .output();
    let Output { status, stdout, stderr } = output.await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

#[tokio::test]
async fn a_model_is_fetched_by_the_server_that_is_named() {
    let mock = Mock::start().await.unwrap();
    let (good, said, _) = run(&mock, &["models", "pull", "box/smol:135m"]).await;
    assert_eq!((good, said.trim()), (true, "box/smol:135m is there"));
    assert_eq!(mock.requests()[0].body, json!({"model": "smol:135m", "stream": true}));
    let (good, said, _) = run(&mock, &["models", "pull", "box/library/smol", "--json"]).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((good, said), (true, json!({"model": "box/library/smol"})));
}

#[tokio::test]
async fn a_pull_that_fails_says_why() {
    let mock = Mock::start().await.unwrap();
    for (name, why) in [
        ("box/mock-status=404", "not found"),
        ("box/mock-error=3", "llama runner process has terminated"),
        ("openai/smol", "those that are configured: box"),
        ("nobody/smol", "those that are configured: box"),
        ("smol", "these can be pulled"),
    ] {
        let (good, _, error) = run(&mock, &["models", "pull", name]).await;
        assert!(!good && error.contains(why), "{name}: {error}");
    }
}

#[tokio::test]
async fn what_is_loaded_is_listed() {
    let mock = Mock::start().await.unwrap();
    let (good, said, _) = run(&mock, &["models", "ps"]).await;
    assert!(good && said.contains("box/mock-echo:latest") && said.contains("8192"), "{said}");
    let (good, said, _) = run(&mock, &["models", "ps", "--json"]).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((good, &said["models"][0]["context"]), (true, &json!(8192)));
}
