//! Small writes that follow each other: Nagle's algorithm would hold each back until the peer has
//! acknowledged the one before, which peers put off for 40 ms.

use super::{
    Peer, chat, gate, head,
    upstream::{Asked, Upstream},
};
use std::time::{Duration, Instant};

/// Half of what a delayed acknowledgement takes.
const SHORT: Duration = Duration::from_millis(20);
const ROUNDS: usize = 60;

/// The middle of the later half: a new connection acknowledges at once for a while.
fn usual(mut waits: Vec<Duration>) -> Duration {
    let mut later = waits.split_off(ROUNDS / 2);
    later.sort_unstable();
    later[later.len() / 2]
}

#[tokio::test]
async fn each_chunk_of_a_stream_arrives_without_waiting_for_the_one_before() {
    let upstream = Upstream::start().await;
    let gate = gate(&upstream.settings()).await;
    let mut peer = Peer::of(&gate).await;
    let body = chat("own/m", "hi", true);
    peer.say(format!("{}{body}", head(&gate, body.len()))).await;
    let mut asked = upstream.accept().await;
    asked.begin().await;
    let mut waits = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let said = format!("<{round}>");
        let started = Instant::now();
        assert!(asked.chunk(&said).await);
        peer.hear(&said).await;
        waits.push(started.elapsed());
    }
    assert!(usual(waits.clone()) < SHORT, "{waits:?}");
}

#[tokio::test]
async fn calls_on_one_connection_are_answered_without_delay_whatever_their_size() {
    let upstream = Upstream::start().await;
    let gate = gate(&upstream.settings()).await;
    let mut peer = Peer::of(&gate).await;
    for size in [10, 1_000, 3_000, 20_000] {
        let body = chat("own/m", &"a".repeat(size), false);
        let mut asked: Option<Asked> = None;
        let mut waits = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let started = Instant::now();
            // In two pieces, as many clients send it.
            peer.say(head(&gate, body.len())).await;
            peer.say(&body).await;
            match &mut asked {
                // The connection to the upstream is kept as well.
                Some(asked) => assert!(asked.next_request().await),
                None => asked = Some(upstream.accept().await),
            }
            asked.as_mut().unwrap().answer().await;
            peer.hear("\"total_tokens\":2}}").await;
            waits.push(started.elapsed());
        }
        assert!(usual(waits.clone()) < SHORT, "{size}: {waits:?}");
        drop(asked);
    }
}
