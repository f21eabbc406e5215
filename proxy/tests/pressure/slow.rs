//! Peers that are slow: they are timed, and nobody's memory fills up for them.

use super::{Peer, SOON, chat, gate, head, upstream::Upstream};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::{Instant, timeout};

/// Heads and bodies that take longer are given up.
const PATIENCE: &str = "[server]\nread_seconds = 1\n";
/// More than both kernels keep for a connection that nobody reads, and far less than the upstream
/// would write in the meantime.
const BOUND: usize = 32 << 20;
/// An upstream that could not write for so long is held back.
const STANDSTILL: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_peer_that_says_nothing_or_half_a_head_is_left() {
    let gate = gate(PATIENCE).await;
    let silent = Peer::of(&gate).await;
    let mut halting = Peer::of(&gate).await;
    halting.say("GET /health/live HTTP/1.1\r\nhost: x\r\nx-").await;
    let mut kept = Peer::of(&gate).await;
    kept.say("GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n").await;
    kept.hear("\r\n\r\n").await;
    for peer in [silent, halting, kept] {
        let said = timeout(SOON, peer.hear_out()).await.unwrap();
        assert!(!said.contains("HTTP/1.1 200"), "{said}");
    }
}

#[tokio::test]
async fn a_head_that_drips_in_is_left_all_the_same() {
    let gate = gate(PATIENCE).await;
    let mut peer = Peer::of(&gate).await;
    peer.say("GET /health/live HTTP/1.1\r\nhost: x\r\n").await;
    let started = Instant::now();
    // A letter whenever the server has not closed: no pause within the head is long.
    while started.elapsed() < SOON {
        let heard = timeout(Duration::from_millis(100), peer.more()).await;
        if heard == Ok(0) || peer.try_say(b"x").is_err() {
            return;
        }
    }
    panic!("the server still listens");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408() {
    let gate = gate(PATIENCE).await;
    let mut peer = Peer::of(&gate).await;
    peer.say(head(&gate, 100)).await;
    peer.say("{\"model\":").await;
    assert!(peer.hear("\r\n\r\n").await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the upstream of a test has no tasks to be tracked by"
)]
async fn a_stream_that_nobody_reads_holds_its_upstream_back_and_goes_on_when_it_is_read() {
    let upstream = Upstream::start().await;
    let gate = gate(&upstream.settings()).await;
    let mut peer = Peer::of(&gate).await;
    let body = chat("own/m", "hi", true);
    peer.say(format!("{}{body}", head(&gate, body.len()))).await;
    let mut asked = upstream.accept().await;
    let written = asked.written.clone();
    let writing = tokio::spawn(async move {
        asked.begin().await;
        let text = "a".repeat(8_000);
        while asked.chunk(&text).await {
            tokio::task::yield_now().await;
        }
    });
    peer.hear("\r\n\r\n").await;
    let mut last = (0, Instant::now());
    while last.1.elapsed() < STANDSTILL {
        let now = written.load(Ordering::SeqCst);
        assert!(now < BOUND, "the upstream wrote {now} bytes that nobody reads");
        if now != last.0 {
            last = (now, Instant::now());
        }
        tokio::task::yield_now().await;
    }
    let held_back_at = last.0;
    while written.load(Ordering::SeqCst) < held_back_at + BOUND {
        assert!(peer.more().await > 0, "the answer ended");
        peer.read.clear();
    }
    drop(peer);
    timeout(SOON, writing).await.expect("the upstream is told that nobody listens").unwrap();
}

impl Peer {
    fn try_say(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.socket.try_write(bytes)
    }
}
