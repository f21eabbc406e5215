//! Connections of HTTP/1 to one host, kept for the calls to come.
//!
//! A connection is driven by the task that waits for its answer. A client with a task for each
//! connection, as reqwest is, hands every piece of an answer from one task to another: that costs
//! more than all that the gateway does with it.

mod connect;
mod line;
mod quiet;
mod whole;

use bytes::Bytes;
use connect::Connector;
use http::{Request, Uri, response::Parts};
use hyper::body::{Body, Incoming};
use line::Line;
use rustls::ClientConfig;
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// How long a connection is kept without a call: looked at when the next call begins or ends.
const IDLE: Duration = Duration::from_secs(90);
/// How many are kept.
const MOST_IDLE: usize = 1024;
/// Pieces of an answer that nobody reads any more, so that its connection can be kept.
const LAST_PIECES: usize = 4;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub(super) struct Failure {
    /// It took too long.
    pub(super) is_timeout: bool,
    #[source]
    cause: Box<dyn std::error::Error + Send + Sync>,
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(super) fn of(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&cause);
        let mut is_timeout = false;
        while let Some(error) = next {
            let io = error.downcast_ref::<std::io::Error>();
            is_timeout |= io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut);
            next = error.source();
        }
        Self { is_timeout, cause: Box::new(cause) }
    }

    fn late(cause: tokio::time::error::Elapsed) -> Self {
        Self { is_timeout: true, cause: Box::new(cause) }
    }
}

/// Connections to one host.
pub(super) struct Pool {
    connector: Connector,
    /// Those that rest, the longest first.
    resting: Mutex<VecDeque<(Box<Line>, Instant)>>,
}

impl Pool {
    /// None is opened yet. `None` where the host's name is none that a certificate could have.
    pub(super) fn new(host: Uri, tls: Option<ClientConfig>, patience: Duration) -> Option<Self> {
        let connector = Connector::new(host, tls, patience)?;
        Some(Self { connector, resting: Mutex::default() })
    }

    /// Sends a request and waits for the head of its answer. One that rested and was closed in the
    /// meantime is not the caller's trouble, as long as nothing was sent.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn send(self: &Arc<Self>, request: Request<Bytes>) -> Result<Answering> {
        let mut request = request.map(whole::Whole::from);
        while let Some(mut line) = self.rested().await {
            match line.ask(request).await {
                Ok(response) => return Ok(self.answering(line, response)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(Failure::of(failed.into_error())),
                },
            }
        }
        let socket = self.connector.connect().await?;
        let mut line = Box::new(Line::over(socket).await.map_err(Failure::of)?);
        match line.ask(request).await {
            Ok(response) => Ok(self.answering(line, response)),
            Err(failed) => Err(Failure::of(failed.into_error())),
        }
    }

    fn answering(
        self: &Arc<Self>,
        line: Box<Line>,
        response: http::Response<Incoming>,
    ) -> Answering {
        let (head, body) = response.into_parts();
        Answering { pool: Arc::clone(self), head, body, line: Some(line) }
    }

    /// The connection that rested last and is open still.
    async fn rested(&self) -> Option<Box<Line>> {
        loop {
            let (mut line, since) = self.resting().pop_back()?;
            if since.elapsed() > IDLE {
                // All others have rested longer. They are closed without holding up anybody.
                let others = std::mem::take(&mut *self.resting());
                drop((line, others));
                return None;
            }
            if poll_fn(|context| Poll::Ready(line.is_free(context))).await {
                return Some(line);
            }
        }
    }

    fn rest(&self, line: Box<Line>) {
        let now = Instant::now();
        let mut resting = self.resting();
        let oldest = resting.front().map(|(_, since)| now.duration_since(*since));
        let too_old = oldest.is_some_and(|age| age > IDLE) || resting.len() >= MOST_IDLE;
        let closed = if too_old { resting.pop_front() } else { None };
        resting.push_back((line, now));
        drop(resting);
        drop(closed);
    }

    fn resting(&self) -> MutexGuard<'_, VecDeque<(Box<Line>, Instant)>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer while it arrives. Dropping it closes the connection, unless the answer is over.
pub(in crate::providers) struct Answering {
    pool: Arc<Pool>,
    pub(super) head: Parts,
    body: Incoming,
    /// Absent once the answer is over.
    line: Option<Box<Line>>,
}

impl Answering {
    /// More of the body; `None` at its end.
    ///
    /// # Errors
    /// When the connection broke.
    pub(super) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        let Some(line) = &mut self.line else { return Poll::Ready(Ok(None)) };
        match line.poll_chunk(context, &mut self.body) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(bytes))) => Poll::Ready(Ok(Some(bytes))),
            Poll::Ready(Some(Err(error))) => {
                self.line = None;
                Poll::Ready(Err(Failure::of(error)))
            }
            Poll::Ready(None) => {
                if let Some(mut line) = self.line.take()
                    && line.is_free(context)
                {
                    self.pool.rest(line);
                }
                Poll::Ready(Ok(None))
            }
        }
    }
}

/// More of a body; `None` at its end.
pub(super) fn poll_bytes<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    context: &mut Context<'_>,
) -> Poll<Option<std::result::Result<Bytes, B::Error>>> {
    loop {
        match Pin::new(&mut *body).poll_frame(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) if !bytes.is_empty() => return Poll::Ready(Some(Ok(bytes))),
                // Trailers say nothing that anybody reads.
                _ => {}
            },
        }
    }
}

/// Most readers stop at the last event, just before the end of the body.
impl Drop for Answering {
    fn drop(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..LAST_PIECES {
            match self.poll_chunk(&mut context) {
                Poll::Ready(Ok(Some(_))) => {}
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
