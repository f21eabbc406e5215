//! One connection through the proxy.

use super::{
    Counts, Fault,
    lane::{End, carry},
    reset,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};

/// As much of what a client said as is said again.
const MOST_AGAIN: usize = 1 << 20;

/// How long a connection waits for one that overtakes it.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(1);

/// Where a connection goes, and what befalls it.
pub(super) struct Passage {
    pub(super) number: u64,
    pub(super) target: SocketAddr,
    pub(super) counts: Arc<Counts>,
    pub(super) fault: Fault,
}

/// Both sides of a connection.
pub(super) struct Link {
    client: TcpStream,
    target: TcpStream,
    passage: Passage,
}

/// What a client said so far, for the second time that it is said.
#[derive(Default)]
struct Tape {
    said: Mutex<Vec<u8>>,
    answered: Notify,
}

impl Link {
    pub(super) fn new(client: TcpStream, target: TcpStream, passage: Passage) -> Self {
        // A failure to set the option only slows the connection down.
        drop((client.set_nodelay(true), target.set_nodelay(true)));
        Self { client, target, passage }
    }

    /// Passes on what both sides say until the connection ends.
    pub(super) async fn run(mut self) {
        let tape = Tape::default();
        let end = if self.passage.fault.doubled {
            let address = self.passage.target;
            tokio::select! {
                end = self.carry_both(&tape) => end,
                () = tape.play(address) => End::Done,
            }
        } else {
            self.carry_both(&tape).await
        };
        if end == End::Reset {
            reset(&self.client);
            reset(&self.target);
        }
    }

    async fn carry_both(&mut self, tape: &Tape) -> End {
        let Passage { number, counts, fault, .. } = &self.passage;
        let (from_client, to_client) = self.client.split();
        let (from_target, to_target) = self.target.split();
        let mut up = std::pin::pin!(async {
            if fault.overtaken {
                drop(timeout(OVERTAKEN_WITHIN, counts.overtaken(*number)).await);
            }
            carry((from_client, to_target), fault.up, |piece| {
                tape.record(piece);
                counts.arrived(*number, long(piece.len()));
            })
            .await
        });
        let mut down = std::pin::pin!(carry((from_target, to_client), fault.down, |piece| {
            tape.answered.notify_one();
            counts.returned(long(piece.len()));
        }));
        let (mut up_done, mut down_done) = (false, false);
        while !(up_done && down_done) {
            let end = tokio::select! {
                end = &mut up, if !up_done => {
                    up_done = true;
                    end
                }
                end = &mut down, if !down_done => {
                    down_done = true;
                    end
                }
            };
            if end != End::Done {
                return end;
            }
        }
        End::Done
    }
}

impl Tape {
    fn record(&self, piece: &[u8]) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() + piece.len() <= MOST_AGAIN {
            said.extend_from_slice(piece);
        }
    }

    /// Says it again once it is answered. Never ends by itself: both connections end together.
    async fn play(&self, target: SocketAddr) {
        self.answered.notified().await;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Ok(mut again) = TcpStream::connect(target).await
            && again.write_all(&said).await.is_ok()
        {
            let mut lost = [0; 4096];
            while again.read(&mut lost).await.is_ok_and(|read| read > 0) {}
        }
        std::future::pending().await
    }
}

fn long(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
