//! Callers who wait for whole answers: a closed loop, each on a connection that it keeps.

use super::{clock, framing::Wire, samples::Tally};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpStream, task::JoinSet, time::Instant};

/// After the round is over, a call that is still open is waited for this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is done.
#[derive(Clone, Debug)]
pub(super) struct Callers {
    pub(super) address: SocketAddr,
    pub(super) request: Arc<[u8]>,
    pub(super) connections: usize,
    pub(super) lasting: Duration,
    /// Statuses that a right answer may have.
    pub(super) expected: &'static [u16],
    /// Each connection begins a call so often, or at once after the one before.
    pub(super) every: Option<Duration>,
}

impl Callers {
    /// Calls until the time is over.
    pub(super) async fn call(&self) -> Tally {
        let end = Instant::now() + self.lasting;
        let mut callers = JoinSet::new();
        for _ in 0..self.connections {
            let caller = self.clone();
            callers.spawn(async move { caller.keep_calling(end).await });
        }
        let mut all = Tally::default();
        while let Some(tally) = callers.join_next().await {
            match tally {
                Ok(tally) => all.add(tally),
                Err(defect) => all.fail(defect),
            }
        }
        all
    }

    async fn keep_calling(self, end: Instant) -> Tally {
        let mut tally = Tally::default();
        while Instant::now() < end {
            let talk = self.talk(end, &mut tally);
            let talked = tokio::time::timeout_at(end + PATIENCE, talk).await;
            let failed = talked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            if let Err(error) = failed {
                tally.fail(error);
                // Who is refused does not hammer.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        tally
    }

    /// As many calls as one connection takes.
    async fn talk(&self, end: Instant, tally: &mut Tally) -> io::Result<()> {
        let mut wire = Wire::new(TcpStream::connect(self.address).await?)?;
        let mut due = Instant::now();
        while Instant::now() < end {
            if let Some(every) = self.every {
                tokio::time::sleep_until(due).await;
                // Who is late does not hurry.
                due = (due + every).max(Instant::now());
            }
            let asked = clock::now_ns();
            wire.write(&self.request).await?;
            let reply = wire.reply().await?;
            let mut text = Vec::new();
            let good = self.expected.contains(&reply.status);
            wire.body(reply.body, |piece| {
                if !good {
                    text.extend_from_slice(piece);
                }
            })
            .await?;
            if good {
                tally.calls += 1;
                tally.times.push(clock::now_ns().saturating_sub(asked));
            } else {
                tally.fail(told(reply.status, &text));
            }
            if reply.closes {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What a wrong answer said.
pub(super) fn told(status: u16, body: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
    format!("{status}: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{
        canned::Dialect,
        request::{Recipient, Wish},
        upstream,
    };
    use tokio::net::TcpListener;

    async fn call(expected: &'static [u16]) -> Tally {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(upstream::serve(listener));
        let wish = Wish { dialect: Dialect::OpenAi, prompt: 100_000, pace: None };
        let to = Recipient { address, key: "none", prefix: "", headers: &[] };
        let lasting = Duration::from_millis(50);
        let request = wish.bytes(&to).into();
        Callers { address, request, connections: 8, lasting, expected, every: None }.call().await
    }

    #[tokio::test]
    async fn calls_are_counted_and_timed() {
        let tally = call(&[200]).await;
        assert!(tally.calls >= 8, "{tally:?}");
        assert_eq!((tally.times.len() as u64, tally.failed), (tally.calls, 0));
    }

    #[tokio::test]
    async fn an_answer_of_another_status_is_a_failure() {
        let tally = call(&[401]).await;
        assert_eq!((tally.calls, tally.times.len()), (0, 0));
        assert!(tally.trouble.unwrap().starts_with("200: {"));
    }
}
