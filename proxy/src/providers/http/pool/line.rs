//! One connection of HTTP/1, driven by the task that waits for its answer.

use super::{connect::Socket, poll_bytes, quiet::Quiet, whole::Whole};
use bytes::Bytes;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// After so many turns within one run of the task the others get theirs.
const TURNS: usize = 32;

/// A connection. Dropping it closes it.
pub(super) struct Line {
    sender: SendRequest<Whole>,
    driver: Driver,
}

/// The half of a connection that reads and writes.
struct Driver {
    /// Absent once it is closed.
    connection: Option<Connection<TokioIo<Socket>, Whole>>,
    quiet: Arc<Quiet>,
    waker: Waker,
}

impl Line {
    /// Speaks HTTP/1 over a socket.
    ///
    /// # Errors
    /// When hyper does not want to.
    pub(super) async fn over(socket: Socket) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new().handshake(TokioIo::new(socket)).await?;
        let quiet = Arc::new(Quiet::default());
        let waker = Waker::from(Arc::clone(&quiet));
        Ok(Self { sender, driver: Driver { connection: Some(connection), quiet, waker } })
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// Why there is none, with the request where nothing of it was sent.
    pub(super) async fn ask(
        &mut self,
        request: Request<Whole>,
    ) -> Result<Response<Incoming>, Box<TrySendError<Request<Whole>>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        poll_fn(|context| self.driver.poll(context, |context| answer.as_mut().poll(context)))
            .await
            .map_err(Box::new)
    }

    /// More of the answer's body; `None` at its end.
    pub(super) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<hyper::Result<Bytes>>> {
        self.driver.poll(context, |context| poll_bytes(body, context))
    }

    /// Whether the peer still listens and the last answer is over, as far as is known by now.
    pub(super) fn is_free(&mut self, context: &mut Context<'_>) -> bool {
        let Self { sender, driver } = self;
        // What the peer has said in the meantime, its goodbye above all, is read first.
        driver.run(context);
        let ready = driver.poll(context, |context| sender.poll_ready(context));
        driver.connection.is_some() && matches!(ready, Poll::Ready(Ok(())))
    }
}

impl Driver {
    /// Runs the connection until it gives what is wanted, or waits for the network.
    fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.quiet.enter(context.waker());
        let waker = self.waker.clone();
        let mut inner = Context::from_waker(&waker);
        let mut polled = Poll::Pending;
        for _ in 0..TURNS {
            self.quiet.was_woken();
            polled = wanted(&mut inner);
            if polled.is_ready() {
                break;
            }
            self.run_once(&mut inner);
            if !self.quiet.was_woken() {
                break;
            }
            // For `leave`, should this have been the last turn.
            waker.wake_by_ref();
        }
        self.quiet.leave();
        polled
    }

    fn run(&mut self, context: &mut Context<'_>) {
        let mut once = true;
        let _ran: Poll<()> = self.poll(context, |_| {
            if std::mem::take(&mut once) { Poll::Pending } else { Poll::Ready(()) }
        });
    }

    fn run_once(&mut self, context: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else { return };
        // Whoever waits for the answer is told why it ended.
        if Pin::new(connection).poll(context).is_ready() {
            self.connection = None;
        }
    }
}
