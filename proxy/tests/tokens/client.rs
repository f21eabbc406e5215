//! The client's tokens: fetched once for all calls, ahead of their end, and never in a loop.

use crate::gate::{Gate, Key, SOON, server};
use futures_util::future::join_all;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tollgate::clock::{Clock, SystemClock};
use tollgate_client::{RemoteProvider, Token, TokenSource};
use tollgate_types::{
    BoxFuture, DelegateRequest, Error, ErrorKind, GenerateRequest, Message, Provider, Result,
    wire::path,
};

fn exchanging(gate: &Gate, key: &Key) -> RemoteProvider {
    gate.remote(|builder| builder.api_key(&key.text).exchange_token(true))
}

/// As many calls at once.
async fn budgets(remote: &RemoteProvider, calls: usize) {
    for answer in join_all((0..calls).map(|_| remote.budgets())).await {
        answer.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_calls_whose_token_is_over_fetch_one() {
    let (_home, gate) = server("").await;
    let key = gate.key().await;
    let remote = exchanging(&gate, &key);
    budgets(&remote, 500).await;
    assert_eq!(gate.count(path::TOKEN, 200), 1, "the first one");
    gate.end_tokens().await;
    let (before, refused) = (gate.count(path::TOKEN, 200), gate.count(path::BUDGETS, 401));
    budgets(&remote, 500).await;
    assert_eq!(gate.count(path::TOKEN, 200), before + 1);
    let refused = gate.count(path::BUDGETS, 401) - refused;
    assert!((1..=500).contains(&refused), "each was refused at most once: {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_fetched_ahead_of_their_end_so_that_no_call_is_refused() {
    let (_home, gate) = server("lifetime_seconds = 3\nleeway_seconds = 1").await;
    let key = gate.key().await;
    let remote = exchanging(&gate, &key);
    let mut calls = 0;
    while gate.count(path::TOKEN, 200) < 4 {
        budgets(&remote, 20).await;
        calls += 20;
    }
    assert_eq!(gate.count(path::BUDGETS, 401), 0);
    assert_eq!(gate.count(path::BUDGETS, 200), calls);
    assert_eq!(gate.count(path::TOKEN, 200), 4, "one at a time");
}

#[tokio::test]
async fn a_revoked_key_ends_in_an_authentication_error_and_no_loop() {
    let (_home, gate) = server("").await;
    let key = gate.key().await;
    let remote = exchanging(&gate, &key);
    budgets(&remote, 1).await;
    assert!(gate.store.revoke_key(&key.id, SystemClock.now_ms()).await.unwrap());
    let refused = async {
        loop {
            if let Err(error) = remote.budgets().await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(SOON, refused).await.unwrap();
    let asked = gate.requests();
    for error in [error, remote.budgets().await.unwrap_err(), remote.models().await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Authentication, "{error:?}");
        assert_eq!(error.body().code.as_deref(), Some("revoked_api_key"));
        assert!(!error.is_retryable() && !format!("{error:?}").contains(&key.text));
    }
    assert_eq!(gate.requests(), asked + 2, "one request for each call");
    let fresh = exchanging(&gate, &key);
    let error = fresh.budgets().await.unwrap_err();
    assert_eq!((error.kind(), gate.requests()), (ErrorKind::Authentication, asked + 3));
}

#[tokio::test]
async fn where_no_tokens_are_given_the_key_is_used() {
    let (_home, gate) = server("enabled = false").await;
    let key = gate.key().await;
    let remote = exchanging(&gate, &key);
    budgets(&remote, 1).await;
    budgets(&remote, 10).await;
    assert_eq!(gate.count(path::TOKEN, 404), 1, "it is not asked again and again");
    assert_eq!(gate.count(path::BUDGETS, 200), 11);
    let wrong = gate.remote(|builder| builder.api_key("tg_a_b_00000000").exchange_token(true));
    let error = wrong.budgets().await.unwrap_err();
    assert_eq!(error.body().code.as_deref(), Some("invalid_api_key"));
}

#[tokio::test]
async fn calls_of_every_kind_go_on_when_their_tokens_end() {
    let (_home, gate) = server("").await;
    let key = gate.key().await;
    let remote = exchanging(&gate, &key);
    let request = || GenerateRequest::new("mock/mock-echo", vec![Message::user("a b c")]);
    for _ in 0..2 {
        remote.generate(request()).await.unwrap();
        gate.end_tokens().await;
        remote.stream(request()).await.unwrap().collect().await.unwrap();
        gate.end_tokens().await;
        remote.models().await.unwrap();
        gate.end_tokens().await;
    }
    assert!(gate.count(path::STREAM, 401) == 2 && gate.count(path::MODELS, 401) == 2);
    // A credential of the call's own is sent as it is.
    let other = gate.key().await;
    let mut request = request();
    request.options.credential = Some(other.text.as_str().into());
    let before = gate.count(path::TOKEN, 200);
    remote.generate(request).await.unwrap();
    assert_eq!(gate.count(path::TOKEN, 200), before);
}

/// A scheme of the caller's own.
struct Vault {
    gate: Arc<Gate>,
    key: Key,
    asked: Arc<AtomicU64>,
}

impl TokenSource for Vault {
    fn token(&self) -> BoxFuture<'_, Result<Token>> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let reply = self.gate.post(&self.key.text, path::TOKEN, "").await;
            if reply.status != 200 {
                return Err(Error::new(ErrorKind::Authentication, "the vault is closed"));
            }
            Ok(Token::new(reply.body(200)["token"].as_str().unwrap()))
        })
    }
}

#[tokio::test]
async fn a_source_of_the_callers_own_is_asked_again_when_its_token_is_refused() {
    let (_home, gate) = server("").await;
    let gate = Arc::new(gate);
    let (key, asked) = (gate.key().await, Arc::new(AtomicU64::new(0)));
    let id = key.id.clone();
    let vault = Vault { gate: Arc::clone(&gate), key, asked: Arc::clone(&asked) };
    let remote = gate.remote(|builder| builder.token_source(vault));
    budgets(&remote, 50).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    gate.end_tokens().await;
    budgets(&remote, 50).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(gate.store.revoke_key(&id, SystemClock.now_ms()).await.unwrap());
    let refused = async { while remote.budgets().await.is_ok() {} };
    tokio::time::timeout(SOON, refused).await.unwrap();
    let before = asked.load(Ordering::SeqCst);
    let error = remote.budgets().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    assert!(asked.load(Ordering::SeqCst) <= before + 1, "no loop");
}

#[tokio::test]
async fn keys_are_delegated_listed_and_revoked() {
    let (_home, gate) = server("lifetime_seconds = 60").await;
    let key = gate.key().await;
    for exchange in [false, true] {
        let lead = gate.remote(|builder| builder.api_key(&key.text).exchange_token(exchange));
        budgets(&lead, 1).await;
        let order: DelegateRequest = serde_json::from_str(
            r#"{"name": "agent", "expires_in_seconds": 1800, "budgets": ["requests=2/day"]}"#,
        )
        .unwrap();
        let made = lead.delegate(&order).await.unwrap();
        let lives = made.expires_ms - SystemClock.now_ms();
        assert!(lives > 1_700_000, "it does not end with the lead's token: {lives}");
        let agent = lead.with_api_key(made.key.clone().unwrap()).unwrap();
        let request = || GenerateRequest::new("mock/mock-echo", vec![Message::user("a b c")]);
        agent.generate(request()).await.unwrap();
        agent.generate(request()).await.unwrap();
        let error = agent.generate(request()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error:?}");
        lead.generate(request()).await.unwrap();
        let listed = lead.delegated().await.unwrap();
        assert!(listed.iter().any(|key| key.id == made.id && key.key.is_none()));
        assert!(agent.revoke_delegated(&made.id).await.is_err(), "not by itself");
        lead.revoke_delegated(&made.id).await.unwrap();
        let refused = async { while agent.budgets().await.is_ok() {} };
        tokio::time::timeout(SOON, refused).await.unwrap();
        assert!(lead.delegated().await.unwrap().iter().all(|key| key.id != made.id));
        for id in ["", "../token", "a/b", "ä"] {
            let error = lead.revoke_delegated(id).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{id}");
        }
        let shown = format!("{made:?} {agent:?} {lead:?}");
        assert!(!shown.contains(&key.text) && !shown.contains(made.key.as_deref().unwrap()));
    }
}
