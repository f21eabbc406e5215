//! More than the server takes on: refused early, with the time to come back, and nothing stays taken.

use super::{Peer, chat, gate, head, upstream::Upstream};
use serde_json::Value;

/// Checks a refusal and returns its head.
async fn refused(peer: &mut Peer) -> String {
    let head = peer.hear("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(head.contains("retry-after: 1\r\n"), "{head}");
    head
}

async fn lives(peer: &mut Peer) -> bool {
    peer.say("GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // The body of an earlier answer stands before it.
    peer.hear("\r\n\r\n").await.contains("HTTP/1.1 200")
}

#[tokio::test]
async fn a_connection_too_many_is_told_and_closed_and_the_next_finds_its_place() {
    let gate = gate("[server]\nmax_connections = 2\n").await;
    let (mut one, mut two) = (Peer::of(&gate).await, Peer::of(&gate).await);
    assert!(lives(&mut one).await && lives(&mut two).await);
    let mut third = Peer::of(&gate).await;
    let body = chat("openai/mock", "hi", false);
    third.say(format!("{}{body}", head(&gate, body.len()))).await;
    let told = refused(&mut third).await;
    assert!(told.contains("connection: close\r\n"), "{told}");
    let body: Value = serde_json::from_str(&third.hear_out().await).unwrap();
    assert_eq!(body["error"]["code"], "too_many_connections");
    assert!(lives(&mut one).await, "the others are not disturbed");
    drop(two);
    loop {
        let mut next = Peer::of(&gate).await;
        next.say("GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await;
        if next.hear("\r\n\r\n").await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test]
async fn a_full_server_refuses_a_call_before_its_body_comes() {
    let upstream = Upstream::start().await;
    let settings = format!("[limits]\nmax_concurrent = 1\n{}", upstream.settings());
    let gate = gate(&settings).await;
    let mut first = Peer::of(&gate).await;
    let body = chat("own/m", "hi", true);
    first.say(format!("{}{body}", head(&gate, body.len()))).await;
    let mut asked = upstream.accept().await;
    asked.begin().await;
    assert!(asked.chunk("<began>").await);
    first.hear("<began>").await;
    for path in ["/openai/v1/chat/completions", "/v1/messages", "/api/v1/stream", "/v1/responses"] {
        let mut second = Peer::of(&gate).await;
        // A body that large is not asked for, and none of it is sent.
        let head = head(&gate, 10 << 20).replace("/openai/v1/chat/completions", path);
        second.say(head).await;
        refused(&mut second).await;
    }
    drop((first, asked));
    // The place is free again.
    loop {
        let reply = gate.post("/openai/v1/embeddings", &serde_json::json!({})).await;
        assert_ne!(reply.status, 503);
        let body = chat("openai/mock", "hi", false);
        let reply = gate.post("/openai/v1/chat/completions", &body.parse().unwrap()).await;
        if reply.status != 503 {
            assert_eq!(reply.status, 200, "{}", reply.body);
            break;
        }
    }
}

#[tokio::test]
async fn bodies_that_come_at_once_are_bounded_all_together() {
    const MOST: usize = 1 << 20;
    let settings = format!("[server]\nmax_body_bytes = {MOST}\nmax_intake_bytes = {MOST}\n");
    let gate = gate(&settings).await;
    let half = vec![b' '; MOST * 2 / 3];
    let (mut one, mut two) = (Peer::of(&gate).await, Peer::of(&gate).await);
    one.say(head(&gate, MOST)).await;
    one.say(&half).await;
    two.say(head(&gate, MOST)).await;
    two.say(&half).await;
    // Whichever is read last.
    let refused_one = tokio::select! {
        _ = refused(&mut one) => true,
        _ = refused(&mut two) => false,
    };
    let mut other = if refused_one { two } else { one };
    let rest = MOST - half.len();
    let body = chat("openai/mock", "hi", false);
    other.say(format!("{body}{}", " ".repeat(rest - body.len()))).await;
    let answered = other.hear("\r\n\r\n").await;
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
}
