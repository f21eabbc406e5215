//! How connections and calls end: keys that are revoked, budgets that are used up, servers that stop.

use crate::{
    gate::{Gate, SOON},
    wire::{Closed, Wire, drained, question, said},
};
use futures_util::SinkExt;
use serde_json::json;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

fn code(closed: &Closed) -> Option<CloseCode> {
    closed.as_ref().map(|(code, _)| *code)
}

#[tokio::test]
async fn a_key_that_is_revoked_opens_no_more_calls_on_a_connection_that_is_open() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    wire.works(1).await;
    gate.revoke().await;
    let started = Instant::now();
    for call in 2.. {
        wire.send(&question(call, "tokens=1")).await;
        let frames = wire.whole(call).await;
        let error = &frames.last().unwrap()["error"];
        if !error.is_null() {
            assert_eq!((&error["kind"], &error["status"]), (&json!("authentication"), &json!(401)));
            assert_eq!(error["code"], "revoked_api_key");
            break;
        }
        assert!(started.elapsed() < SOON, "a revoked key works on");
    }
}

#[tokio::test]
async fn a_call_may_bring_a_credential_of_its_own() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    let mut frame = question(1, "tokens=1");
    frame["credential"] = json!("tg_nobody");
    wire.send(&frame).await;
    assert_eq!(wire.refusal(1).await["kind"], "authentication");
    let mut frame = question(2, "tokens=1");
    frame["credential"] = json!(gate.key);
    wire.send(&frame).await;
    assert_eq!(said(&wire.whole(2).await), "w0");
}

#[tokio::test]
async fn a_budget_that_is_used_up_refuses_the_call_and_says_which() {
    let gate = Gate::with("", &[("requests", "day", 1)]).await;
    let mut wire = Wire::open(&gate).await;
    wire.works(1).await;
    wire.send(&question(2, "tokens=1")).await;
    let error = wire.refusal(2).await;
    assert_eq!((&error["kind"], &error["status"]), (&json!("quota_exceeded"), &json!(402)));
    assert_eq!(
        (&error["quota"]["resource"], &error["retryable"]),
        (&json!("requests"), &json!(false))
    );
    assert_eq!(gate.mock.served(), 1);
}

#[tokio::test]
async fn a_server_that_stops_lets_calls_end_begins_none_and_says_that_it_goes_away() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    let mut idle = Wire::open(&gate).await;
    idle.works(1).await;
    wire.send(&question(1, "tokens=50,delay=20")).await;
    let mut frames = vec![wire.frame().await];
    let (_mock, stopped) = gate.stop();
    let stopping = async {
        assert_eq!(code(&idle.closed().await), Some(CloseCode::Away));
        // From here on the server is known to stop.
        wire.send(&question(2, "tokens=1")).await;
        let mut refused = None;
        loop {
            match wire.next().await {
                Ok(frame) if frame["call"] == 2 => refused = Some(frame),
                Ok(frame) => frames.push(frame),
                Err(closed) => return (refused, code(&closed)),
            }
        }
    };
    let (settled, (refused, closed)) = tokio::join!(stopped, stopping);
    assert!(settled);
    let error = &refused.unwrap()["error"];
    assert_eq!((&error["kind"], &error["retryable"]), (&json!("overloaded"), &json!(true)));
    assert_eq!(said(&frames).split(' ').count(), 50);
    assert_eq!(closed, Some(CloseCode::Away));
}

#[tokio::test]
async fn a_call_that_does_not_end_in_time_is_told_that_the_server_stops() {
    let gate = Gate::with("[server]\ndrain_seconds = 1\n", &[]).await;
    let mut wire = Wire::open(&gate).await;
    wire.send(&question(1, "tokens=3,stall=2")).await;
    let mut last = wire.frame().await;
    let (mock, stopped) = gate.stop();
    let stopping = async {
        loop {
            match wire.next().await {
                Ok(frame) => last = frame,
                Err(closed) => return code(&closed),
            }
        }
    };
    let (settled, closed) = tokio::join!(stopped, stopping);
    assert!(settled);
    assert_eq!((&last["type"], &last["error"]["kind"]), (&json!("error"), &json!("overloaded")));
    assert_eq!(closed, Some(CloseCode::Away));
    assert!(mock.saw_aborts(1, SOON).await);
}

#[tokio::test]
async fn who_answers_no_ping_is_given_up_and_who_does_stays() {
    let gate = Gate::with("[websocket]\nping_seconds = 1\n[server]\nread_seconds = 1\n", &[]).await;
    let mut wire = Wire::open(&gate).await;
    let mut deaf = Wire::open(&gate).await;
    deaf.send(&question(1, "tokens=3,stall=2")).await;
    // Bytes are read and no frame is answered.
    let silence = async { drained(deaf.0.get_mut()).await };
    let listening = async { wire.closed().await };
    let heard = tokio::select! {
        heard = silence => heard,
        closed = listening => panic!("a client that answers is given up: {closed:?}"),
    };
    assert!(heard.windows(17).any(|bytes| bytes == b"nothing was heard"));
    assert!(gate.mock.saw_aborts(1, SOON).await);
    wire.works(1).await;
}

#[tokio::test]
async fn a_goodbye_of_the_client_is_answered_and_its_calls_end() {
    let gate = Gate::start().await;
    let mut wire = Wire::open(&gate).await;
    wire.send(&question(1, "tokens=100000,delay=20")).await;
    assert!(wire.frame().await["head"].is_object());
    wire.0.send(Message::Close(None)).await.unwrap();
    wire.closed().await;
    assert!(gate.mock.saw_aborts(1, SOON).await);
    // The connection is really over.
    assert!(
        wire.0.get_mut().write_all(&[0]).await.is_err()
            || drained(wire.0.get_mut()).await.is_empty()
    );
}
