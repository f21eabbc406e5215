//! Callers who read streams, all of them at once.

use super::{
    clock::{self, Stamps},
    framing::Wire,
    samples::Tally,
    unary::told,
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpStream, task::JoinSet, time::Instant};

/// A stream that takes this much longer than it should has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of a stream's end that are told when it came too early.
const TAIL: usize = 300;

/// What is done.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    pub(super) address: SocketAddr,
    pub(super) request: Arc<[u8]>,
    pub(super) streams: u32,
    /// They begin one after the other, within this time.
    pub(super) within: Duration,
    /// Each of them has so many chunks, which come within this time.
    pub(super) chunks: u32,
    pub(super) lasting: Duration,
}

impl Readers {
    /// Reads all streams to their ends.
    pub(super) async fn read(&self) -> Tally {
        let start = Instant::now();
        let mut readers = JoinSet::new();
        for number in 0..self.streams {
            let reader = self.clone();
            let from = start + self.within * number / self.streams;
            readers.spawn(async move { reader.read_one(from).await });
        }
        let mut all = Tally::default();
        while let Some(tally) = readers.join_next().await {
            match tally {
                Ok(tally) => all.add(tally),
                Err(defect) => all.fail(defect),
            }
        }
        all
    }

    async fn read_one(self, from: Instant) -> Tally {
        tokio::time::sleep_until(from).await;
        let (mut tally, mut tail) = (Tally::default(), Vec::new());
        let reading = self.follow(&mut tally, &mut tail);
        let read = tokio::time::timeout_at(from + self.lasting + PATIENCE, reading).await;
        if let Err(error) = read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            tally.fail(error);
        } else if tally.failed == 0 && tally.chunks != u64::from(self.chunks) {
            let chunks = tally.chunks;
            let tail = String::from_utf8_lossy(&tail);
            tally.fail(format_args!("{chunks} chunks of {}, then {tail:?}", self.chunks));
        } else if tally.failed == 0 {
            tally.calls = 1;
        }
        tally
    }

    /// Leaves behind the last thing that came.
    async fn follow(&self, tally: &mut Tally, tail: &mut Vec<u8>) -> io::Result<()> {
        let mut wire = Wire::new(TcpStream::connect(self.address).await?)?;
        let asked = clock::now_ns();
        wire.write(&self.request).await?;
        let reply = wire.reply().await?;
        if reply.status != 200 {
            let mut text = Vec::new();
            wire.body(reply.body, |piece| text.extend_from_slice(piece)).await?;
            tally.fail(told(reply.status, &text));
            return Ok(());
        }
        let mut stamps = Stamps::new();
        tally.delays.reserve(usize::try_from(self.chunks).unwrap_or_default());
        wire.body(reply.body, |piece| {
            let now = clock::now_ns();
            tail.clear();
            tail.extend_from_slice(piece.get(piece.len().saturating_sub(TAIL)..).unwrap_or(piece));
            stamps.read(piece, |sent| {
                tally.chunks += 1;
                tally.delays.push(now.saturating_sub(sent));
                if tally.times.is_empty() {
                    tally.times.push(now.saturating_sub(asked));
                }
            });
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{
        canned::Dialect,
        request::{Pace, Recipient, Wish},
        upstream,
    };
    use tokio::net::TcpListener;

    async fn read(chunks: u32, expected: u32) -> Tally {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(upstream::serve(listener));
        let gap = Duration::from_millis(2);
        let pace = Some(Pace { chunks, gap });
        let wish = Wish { dialect: Dialect::Anthropic, prompt: 10, pace };
        let to = Recipient { address, key: "none", prefix: "", headers: &[] };
        let request = wish.bytes(&to).into();
        let within = Duration::from_millis(10);
        let lasting = gap * chunks;
        Readers { address, request, streams: 20, within, chunks: expected, lasting }.read().await
    }

    #[tokio::test]
    async fn every_chunk_is_seen_and_timed() {
        let tally = read(10, 10).await;
        assert_eq!((tally.calls, tally.failed, tally.chunks), (20, 0, 200), "{:?}", tally.trouble);
        assert_eq!((tally.times.len(), tally.delays.len()), (20, 200));
    }

    #[tokio::test]
    async fn a_stream_with_too_few_chunks_is_a_failure() {
        let tally = read(3, 4).await;
        assert_eq!((tally.calls, tally.failed), (0, 20));
        let trouble = tally.trouble.unwrap();
        assert!(trouble.starts_with("3 chunks of 4, then"), "{trouble}");
        assert!(trouble.contains("message_stop"), "{trouble}");
    }
}
