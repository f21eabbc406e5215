//! One flight for all, ahead of time, and no call that fails while the token at hand is good.

use super::{Token, TokenSource, Tokens};
use futures_util::FutureExt;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;
use tollgate_types::{BoxFuture, Error, ErrorKind, Result};

/// Gives the tokens 1, 2, 3 ... while it is open.
struct Mint {
    asked: AtomicU64,
    open: Semaphore,
    lifetime: Mutex<Option<Duration>>,
    fails: Mutex<bool>,
}

impl Mint {
    fn new(lifetime: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            asked: AtomicU64::new(0),
            open: Semaphore::new(0),
            lifetime: Mutex::new(lifetime),
            fails: Mutex::new(false),
        })
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl TokenSource for Mint {
    fn token(&self) -> BoxFuture<'_, Result<Token>> {
        Box::pin(async move {
            let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            self.open.acquire().await.unwrap().forget();
            if *self.fails.lock().unwrap() {
                return Err(Error::new(ErrorKind::Upstream, "no tokens today"));
            }
            let token = Token::new(number.to_string());
            let lifetime = *self.lifetime.lock().unwrap();
            Ok(lifetime.map_or(token.clone(), |life| token.expires_in(life)))
        })
    }
}

async fn text(tokens: &Tokens) -> String {
    tokens.get().await.unwrap().token.secret().expose().clone()
}

#[tokio::test]
async fn five_hundred_calls_wait_for_one_flight_even_when_the_first_of_them_leaves() {
    let mint = Mint::new(None);
    let tokens = Arc::new(Tokens::new(Arc::new(mint.clone())));
    let mut first = Box::pin(tokens.get());
    assert!(first.as_mut().now_or_never().is_none());
    drop(first);
    let all = futures_util::future::join_all((0..500).map(|_| text(&tokens)));
    mint.open.add_permits(500);
    assert!(all.await.iter().all(|token| token == "1"));
    assert_eq!(mint.asked(), 1);
    // All of them are refused: still one flight.
    let held = tokens.get().await.unwrap();
    let refused = (0..500).map(|_| async {
        tokens.refused(held.number);
        text(&tokens).await
    });
    assert!(futures_util::future::join_all(refused).await.iter().all(|token| token == "2"));
    assert_eq!(mint.asked(), 2);
}

#[tokio::test]
async fn one_call_fetches_ahead_of_time_and_the_others_go_on() {
    let mint = Mint::new(Some(Duration::from_secs(5)));
    let tokens = Tokens::new(Arc::new(mint.clone()));
    mint.open.add_permits(1);
    assert_eq!(text(&tokens).await, "1");
    assert_eq!((text(&tokens).await.as_str(), mint.asked()), ("1", 1), "it is not near its end");
    // One waits for the mint now, which is closed.
    let mut early = Box::pin(tokens.get());
    while early.as_mut().now_or_never().is_some() {
        early = Box::pin(tokens.get());
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert_eq!(text(&tokens).await, "1", "nobody else waits");
    }
    assert_eq!(mint.asked(), 2);
    mint.open.add_permits(1);
    assert_eq!(early.await.unwrap().token.secret().expose(), "2");
    assert_eq!((text(&tokens).await.as_str(), mint.asked()), ("2", 2));
}

#[tokio::test]
async fn a_flight_that_fails_ahead_of_time_fails_no_call_and_is_not_repeated_at_once() {
    let mint = Mint::new(Some(Duration::from_secs(2)));
    mint.open.add_permits(1_000_000);
    let tokens = Tokens::new(Arc::new(mint.clone()));
    assert_eq!(text(&tokens).await, "1");
    *mint.fails.lock().unwrap() = true;
    while mint.asked() < 2 {
        assert_eq!(text(&tokens).await, "1");
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        assert_eq!(text(&tokens).await, "1");
    }
    assert_eq!(mint.asked(), 2);
    // Once it is over there is nothing to go on with.
    let error = loop {
        match tokens.get().await {
            Ok(held) => assert_eq!(held.token.secret().expose(), "1"),
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((error.kind(), mint.asked()), (ErrorKind::Upstream, 3));
    *mint.fails.lock().unwrap() = false;
    assert_eq!(text(&tokens).await, "4", "a call after that fetches again");
}

#[test]
fn a_token_is_not_shown() {
    let token = Token::new("s3cret").expires_in(Duration::from_secs(1));
    let tokens = Tokens::new(Mint::new(None));
    assert!(!format!("{token:?} {tokens:?}").contains("s3cret"));
}
