//! The server: what it offers to tests, and where it listens.

mod answer;
mod anthropic;
mod asked;
mod fill;
mod gate;
mod google;
mod memory;
mod ollama;
mod openai;
mod openai_chat;
mod openai_responses;
mod pace;
mod routes;
mod time;
mod turn;
mod vendor;

use axum::serve::ListenerExt;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};

use memory::Memory;
pub use memory::{Abort, Seen};

/// How a mock shall be.
#[derive(Clone)]
pub struct MockOptions {
    /// The port on 127.0.0.1; 0 means a free one.
    pub port: u16,
    /// Refuse every request that does not carry this key, each vendor in its own way. Ollama and
    /// OpenAI read `authorization`, Anthropic `x-api-key`, Google `x-goog-api-key` or `?key=`.
    pub require_key: Option<String>,
    /// As many requests and aborts as are remembered.
    pub remember: usize,
}

impl Default for MockOptions {
    fn default() -> Self {
        Self { port: 0, require_key: None, remember: 10_000 }
    }
}

impl std::fmt::Debug for MockOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MockOptions")
            .field("port", &self.port)
            .field("requires_key", &self.require_key.is_some())
            .field("remember", &self.remember)
            .finish()
    }
}

/// A mock upstream on a port of this machine; dropping it stops it.
pub struct Mock {
    addr: SocketAddr,
    memory: Arc<Memory>,
    server: JoinHandle<()>,
}

impl Mock {
    /// Starts on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::on(0).await
    }

    /// Starts on a port; 0 means a free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn on(port: u16) -> io::Result<Self> {
        Self::with(MockOptions { port, ..MockOptions::default() }).await
    }

    /// Starts as it is told.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn with(options: MockOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let addr = listener.local_addr()?;
        let memory = Arc::new(Memory::new(options));
        let router = routes::router(Arc::clone(&memory));
        // A failure to set the option only slows the mock down.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        Ok(Self { addr, memory, server: spawn(axum::serve(listener, router).into_future()) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address without a path: the base URL of Anthropic, Google and Ollama.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Its address as an OpenAI base URL.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// The requests that reached it, oldest first; the first ten thousand, unless told otherwise.
    pub fn requests(&self) -> Vec<Seen> {
        self.memory.seen()
    }

    /// How many requests reached it.
    pub fn served(&self) -> usize {
        *self.memory.served.borrow()
    }

    /// The answers that clients did not wait for; the first ten thousand, unless told otherwise.
    pub fn aborted(&self) -> Vec<Abort> {
        self.memory.aborts()
    }

    /// Waits until so many answers were dropped; false when the time is over first.
    pub async fn saw_aborts(&self, count: usize, within: Duration) -> bool {
        let mut aborted = self.memory.aborted.subscribe();
        let enough = aborted.wait_for(|so_far| *so_far >= count);
        tokio::time::timeout(within, enough).await.is_ok_and(|seen| seen.is_ok())
    }

    /// How many answers are under way.
    pub fn working(&self) -> usize {
        *self.memory.working.borrow()
    }

    /// Waits until as many answers are under way as wanted; false when the time is over first.
    pub async fn works(&self, wanted: impl Fn(usize) -> bool, within: Duration) -> bool {
        let mut working = self.memory.working.subscribe();
        let wanted = working.wait_for(|count| wanted(*count));
        tokio::time::timeout(within, wanted).await.is_ok_and(|seen| seen.is_ok())
    }

    /// Serves until it is killed.
    pub async fn forever(mut self) {
        // The task ends only with the process.
        drop((&mut self.server).await);
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl std::fmt::Debug for Mock {
    /// Without what it was sent: keys are in there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let served = self.served();
        f.debug_struct("Mock")
            .field("addr", &self.addr)
            .field("served", &served)
            .finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "a mock has no Tasks; its server dies with it")]
fn spawn(server: impl Future<Output = io::Result<()>> + Send + 'static) -> JoinHandle<()> {
    // axum::serve never returns an error.
    tokio::spawn(async move { drop(server.await) })
}
