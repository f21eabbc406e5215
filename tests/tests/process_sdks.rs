//! The vendors' official SDKs, unmodified, with Tollgate keys: each against mocks of all vendors
//! and the real local model, and first against the mocks themselves, which must be believable.
#![cfg(test)]

use serde_json::{Value, json};
use std::path::Path;
use tollgate_bench::{Mock, Seen};
use tollgate_tests::process::{Install, REAL_MODEL, python, real_provider};

/// The providers, which are mocks, with what each one's entry says.
const UPSTREAMS: [(&str, &str); 5] = [
    ("openai", "kind = \"openai\"\napi = \"chat\""),
    ("responses", "kind = \"openai\"\napi = \"responses\""),
    ("anthropic", "kind = \"anthropic\""),
    ("google", "kind = \"google\""),
    ("ollama", "kind = \"ollama\""),
];

/// Where each of them is asked, and the names of the image that the scripts send in its dialect.
const ASKED: [(&str, &str); 5] = [
    ("/v1/chat/completions", "image_url"),
    ("/v1/responses", "image_url"),
    ("/v1/messages", "data"),
    ("enerateContent", "data"),
    ("/api/chat", "images"),
];

/// The keys that the scripts know by these names.
const KEYS: [(&str, &[&str]); 5] = [
    ("ALL", &["--budget", "cost=100usd/day"]),
    ("ONLY_CHAT", &["--feature", "chat"]),
    ("NO_MODEL", &["--model", "other/*"]),
    ("RATE", &["--rate", "1/minute"]),
    ("POOR", &["--budget", "tokens=5/month"]),
];

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("python/{name}_sdk.py"))
}

fn configuration(mock: &Mock) -> String {
    let entries = UPSTREAMS.map(|(name, kind)| {
        let path = if kind.contains("openai") { "/v1" } else { "" };
        format!(
            "[[providers]]\nname = \"{name}\"\n{kind}\nbase_url = \"{}{path}\"\n\n\
             [[prices]]\nmodel = \"{name}/*\"\ninput = \"1\"\noutput = \"2\"\n\n",
            mock.url()
        )
    });
    entries.concat() + &real_provider()
}

/// Runs one SDK's checks against a server of its own; returns what the mocks were sent.
async fn passes(sdk: &str) -> Vec<Seen> {
    let mock = Mock::start().await.unwrap();
    let install = Install::new(&configuration(&mock));
    install.user("alice").await;
    let server = install.serve().await;
    let mut command = install.command(python());
    command
        .arg(script(sdk))
        .env("SDK_URL", server.url())
        .env("UPSTREAMS", UPSTREAMS.map(|(name, _)| name).join(","))
        .env("REAL_MODEL", REAL_MODEL);
    for (name, arguments) in KEYS {
        let key = install.key("alice", arguments).await.text;
        command.env(format!("KEY_{name}"), key);
    }
    let ran = install.run(command).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);

    // What the SDK was told is in the books, and no call is open.
    let rows = install.rows().await;
    let real: Vec<_> = rows.iter().filter(|row| row["provider"] == "local").collect();
    assert!(real.len() >= 3, "{rows:?}");
    // One of OpenAI's checks leaves a stream.
    let left = real.iter().any(|row| row["disposition"] == "cancelled");
    assert_eq!(left, sdk == "openai", "{real:?}");
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

    let seen = mock.requests();
    for (path, field) in ASKED {
        assert!(has(&seen, path, field, |image| image.contains("iVBORw0KGgo")), "{path}: no image");
    }
    for request in &seen {
        let sent = format!("{:?}{:?}", request.headers, request.query);
        assert!(!sent.contains("tg_"), "a Tollgate key went to {}", request.path);
    }
    seen
}

/// Whether a request to this path has a field, at any depth, with such a value.
fn has(seen: &[Seen], path: &str, field: &str, wanted: impl Fn(&str) -> bool) -> bool {
    let asked = seen.iter().filter(|request| request.path.contains(path));
    asked.flat_map(|request| fields(&request.body, field)).any(|value| match value {
        Value::String(text) => wanted(text),
        other => wanted(&other.to_string()),
    })
}

fn fields<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(object) => {
            let own = object.get(name).into_iter();
            own.chain(object.values().flat_map(|inner| fields(inner, name))).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| fields(item, name)).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn openais_sdk_works_unmodified() {
    passes("openai").await;
}

#[tokio::test]
async fn openais_sdk_speaks_responses() {
    let seen = passes("responses").await;
    assert!(has(&seen, "/v1/responses", "encrypted_content", |sealed| !sealed.is_empty()));
}

#[tokio::test]
async fn anthropics_sdk_works_unmodified() {
    let seen = passes("anthropic").await;
    assert!(has(&seen, "/v1/messages", "signature", |signature| !signature.is_empty()));
}

#[tokio::test]
async fn googles_sdk_works_unmodified() {
    let seen = passes("google").await;
    let signed = |name| has(&seen, "enerateContent", name, |signature| !signature.is_empty());
    assert!(signed("thoughtSignature") || signed("thought_signature"));
}

#[tokio::test]
async fn ollamas_client_works_unmodified() {
    passes("ollama").await;
}

/// What the SDKs make of the mocks is what they make of the vendors: without this, the tests above
/// would prove that Tollgate agrees with the mocks only.
#[tokio::test]
async fn the_mocks_are_believable() {
    let mock = Mock::start().await.unwrap();
    let install = Install::new("");
    for sdk in ["openai", "responses", "anthropic", "google", "ollama"] {
        let mut command = install.command(python());
        command.arg(script(sdk)).env("SDK_URL", mock.url());
        let ran = install.run(command).await;
        assert_eq!(ran.code, Some(0), "{sdk}: {}{}", ran.out, ran.err);
    }
}
