//! A network that fails: a TCP proxy that does to each connection what it is told, and passes every
//! byte on as it came otherwise.
//!
//! What befalls a connection is a [`Fault`]: scripted by the number of the connection, or drawn from
//! a seed, so that a run that failed can be made again.

mod fault;
mod lane;
mod link;

pub use fault::{Fault, How, Lane, Stop};

use link::{Link, Passage};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A proxy before a port of this machine. Dropping it ends its connections.
pub struct Faults {
    addr: SocketAddr,
    counts: Arc<Counts>,
    _task: JoinSet<()>,
}

/// What passed so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    made: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
    /// The largest number, plus one, of the connections that brought something to the target.
    arrived: watch::Sender<u64>,
}

impl Faults {
    /// A proxy before a target; `plan` says what befalls each connection, the first of which is 0.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn to(
        target: SocketAddr,
        plan: impl Fn(u64) -> Fault + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let mut task = JoinSet::new();
        task.spawn(accept(listener, target, Arc::clone(&counts), plan));
        Ok(Self { addr, counts, _task: task })
    }

    /// A proxy that harms the first `harmed` connections as a seed says, and no later one.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn seeded(target: SocketAddr, seed: u64, harmed: u64) -> io::Result<Self> {
        Self::to(target, move |number| {
            if number < harmed { Fault::drawn(seed, number) } else { Fault::default() }
        })
        .await
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> u64 {
        self.counts.made.load(Ordering::Relaxed)
    }

    /// How many bytes it passed on, towards the target and from it.
    pub fn passed(&self) -> (u64, u64) {
        (self.counts.up.load(Ordering::Relaxed), self.counts.down.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Faults")
            .field("addr", &self.addr)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

impl Counts {
    /// Something of a connection reached the target.
    pub(crate) fn arrived(&self, number: u64, bytes: u64) {
        self.up.fetch_add(bytes, Ordering::Relaxed);
        self.arrived.send_if_modified(|latest| {
            let newer = *latest <= number;
            if newer {
                *latest = number + 1;
            }
            newer
        });
    }

    /// Something came back.
    pub(crate) fn returned(&self, bytes: u64) {
        self.down.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits until a later connection brought something to the target.
    pub(crate) async fn overtaken(&self, number: u64) {
        // Cannot fail: the sender is borrowed here.
        drop(self.arrived.subscribe().wait_for(|latest| *latest > number + 1).await);
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    counts: Arc<Counts>,
    plan: impl Fn(u64) -> Fault + Send + Sync + 'static,
) {
    let mut links = JoinSet::new();
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => client,
                // The client left before it was let in.
                Err(_) => continue,
            },
            Some(_) = links.join_next() => continue,
        };
        let number = counts.made.fetch_add(1, Ordering::Relaxed);
        let passage = Passage { number, target, counts: Arc::clone(&counts), fault: plan(number) };
        links.spawn(pass(client, passage));
    }
}

async fn pass(client: TcpStream, passage: Passage) {
    let fault = passage.fault;
    if fault.refused {
        reset(&client);
        return;
    }
    if !fault.delay.is_zero() {
        tokio::time::sleep(fault.delay).await;
    }
    // A target that is not there refuses, as it would without the proxy.
    match TcpStream::connect(passage.target).await {
        Ok(target) => Link::new(client, target, passage).run().await,
        Err(_) => reset(&client),
    }
}

/// Makes the end of a connection an abrupt one.
fn reset(socket: &TcpStream) {
    // Fails only where the connection has ended already.
    drop(socket.set_zero_linger());
}
