//! Neither a key nor a token is in any log line, error, `Debug` output or row.

use crate::gate::server;
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};
use tollgate::clock::{Clock, SystemClock};
use tollgate_types::wire::path;

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

#[tokio::test]
async fn no_key_and_no_token_is_shown_anywhere() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let (_home, gate) = server("").await;
    let key = gate.key().await;
    let mut secrets = vec![key.text.split('_').nth(2).unwrap().to_owned()];
    let remote = gate.remote(|builder| builder.api_key(&key.text).exchange_token(true));
    remote.budgets().await.unwrap();
    let token = gate.token(&key).await;
    let (head, signature) = token.rsplit_once('.').unwrap();
    secrets.extend([head.to_owned(), signature.to_owned()]);
    let mut shown = vec![format!("{remote:?}")];
    let garbled = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for credential in [&token, &garbled] {
        for path in [path::TOKEN, path::BUDGETS, path::GENERATE, "/v1/chat/completions"] {
            shown.push(format!("{:?}", gate.post(credential, path, "{}").await));
        }
    }
    gate.end_tokens().await;
    remote.budgets().await.unwrap();
    assert!(gate.store.revoke_key(&key.id, SystemClock.now_ms()).await.unwrap());
    let error = loop {
        if let Err(error) = remote.budgets().await {
            break error;
        }
    };
    shown.push(format!("{error} {error:?}"));
    shown.push(format!("{:?}", gate.store.token_keys().await.unwrap()));
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("a new key signs tokens") && log.contains("TRACE"), "the log was caught");
    shown.push(log);
    for secret in &secrets {
        for text in &shown {
            if let Some(at) = text.find(secret.as_str()) {
                let from = text.floor_char_boundary(at.saturating_sub(300));
                panic!("a secret is shown: ...{}", &text[from..at]);
            }
        }
    }
}
