//! Planted secrets are looked for everywhere: answers, headers, logs at their most talkative, and
//! the database file. Neither a Tollgate key nor a provider's key may be in any of them.
#![cfg(test)]

use serde_json::{Value, json};
use std::{
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
};
use tollgate::config::Environment;
use tollgate_bench::Mock;
use tollgate_tests::server::{Key, Reply, Server, config_over};
use tollgate_types::{GenerateRequest, Message, Provider, wire::path};

/// What the mock repeats when it refuses a key.
const PROVIDER_KEY: &str = "sk-mock-0123456789";
const PROMPT: &str = "zanzibarprompt";

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn everything() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// The part of a key that nobody but its owner knows.
fn secret_of(key: &Key) -> &str {
    key.text.split('_').nth(2).unwrap()
}

fn assert_absent(place: &str, text: &str, secrets: &[&str]) {
    for secret in secrets {
        if let Some(at) = text.find(secret) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            panic!("{secret} is in {place}: ...{}", &text[from..at]);
        }
    }
}

/// Calls that go well and calls that go wrong, in every dialect, with what came back.
async fn calls(server: &Server, key: &Key) -> Vec<Reply> {
    let mut replies = Vec::new();
    for model in ["echo", "status=401", "status=500", "status=429", "html", "reset=1", "tool"] {
        let model = format!("mock/mock-{model}");
        let native = json!([{"type": "text", "text": PROMPT}]);
        let native = json!({"model": model, "messages": [{"role": "user", "content": native}]});
        let openai = json!({"model": model, "messages": [{"role": "user", "content": PROMPT}]});
        let mut streamed = openai.clone();
        streamed["stream"] = Value::Bool(true);
        for (path, body) in [
            (path::GENERATE, &native),
            (path::STREAM, &native),
            ("/v1/chat/completions", &openai),
            ("/v1/chat/completions", &streamed),
        ] {
            replies.push(server.post(path, key, body).await);
        }
        replies
            .push(server.post("/v1/embeddings", key, &json!({"model": model, "input": "x"})).await);
    }
    // Keys where they do not belong: in a body, a path, a query, a model's name.
    let text = &key.text;
    let misplaced = json!({"model": text, "messages": [], text: 1});
    replies.push(server.post(path::GENERATE, key, &misplaced).await);
    replies.push(server.get(&format!("/v1/{}", path::MODELS), key).await);
    for path in [path::USAGE, path::BUDGETS, path::MODELS, "/v1/models", "/nope"] {
        replies.push(server.get(path, key).await);
    }
    let garbled = Key { id: String::new(), text: format!("{text}0") };
    replies.push(server.get(path::USAGE, &garbled).await);
    replies
}

fn database_bytes(database: &Path) -> String {
    let folder = std::fs::read_dir(database.parent().unwrap()).unwrap();
    let files = folder.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    String::from_utf8_lossy(&files.collect::<Vec<_>>().concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_is_in_any_answer_log_line_or_database_file() {
    let log = Log::everything();
    let mock = Mock::start().await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{PROVIDER_KEY}\n")).unwrap();
    let mut from_file = config_over(&mock, "");
    from_file.providers[0].api_key_file = Some(file.path().to_owned());
    let mut from_variable = config_over(&mock, "");
    from_variable.providers[0].api_key_env = Some("MOCK_KEY".to_owned());
    let environment = Environment::of([("MOCK_KEY", PROVIDER_KEY)]);

    for config in [from_file, from_variable] {
        let server = Server::with_environment(config, &environment).await;
        let key = server.any_key().await;
        let secret = secret_of(&key).to_owned();
        assert_eq!(secret.len(), 43);
        for reply in calls(&server, &key).await {
            let shown = format!("{:?} {}", reply.headers, reply.text);
            // What a client wrote into its own request may be repeated to it, but not the secret.
            assert_absent("an answer", &shown, &[PROVIDER_KEY, "sk-mock"]);
        }
        let request = GenerateRequest::new("mock/mock-status=401", vec![Message::user("x")]);
        let error = server.remote(&key).generate(request).await.unwrap_err();
        assert_absent("an error", &format!("{error} {error:?}"), &[PROVIDER_KEY, &secret]);
        assert_absent("Debug", &format!("{:?}", server.remote(&key)), &[&secret]);

        let books = database_bytes(&server.database());
        assert!(books.contains(&key.id), "the file that is looked into is the right one");
        assert_absent("the database", &books, &[PROVIDER_KEY, &secret, PROMPT]);
        for seen in mock.requests() {
            let headers = format!("{:?}", seen.headers.iter().collect::<Vec<_>>());
            assert_absent("a request to the provider", &headers, &[&secret]);
            assert_absent("a request to the provider", &seen.body.to_string(), &[&secret]);
        }
        assert!(server.stop().await);
        let log = log.text();
        assert!(log.contains("call ended") && log.contains("TRACE"), "the log was caught");
        assert_absent("the log", &log, &[PROVIDER_KEY, &secret, PROMPT]);
    }
    let sent = mock.requests().pop().unwrap();
    let sent = sent.headers.get("authorization").unwrap().to_str().unwrap().to_owned();
    assert_eq!(sent, format!("Bearer {PROVIDER_KEY}"), "the provider is sent its own key");
}
