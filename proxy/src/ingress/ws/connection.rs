//! One connection: frames in, frames out, a heartbeat, and an orderly end.
//!
//! Reading and writing wait for nothing but the network, each on its own: two sides that both write
//! and do not read would wait for each other for ever.

use super::{
    answer,
    calls::{Calls, Opening},
    credit::Credit,
    order::{self, Malformed, NewCall, Order},
};
use crate::{
    ids::new_id,
    ingress::{front::Front, ws::frames},
};
use axum::http::HeaderMap;
use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use tokio_util::task::TaskTracker;
use tollgate_types::{Error, ErrorKind, Secret};

/// Frames that wait to be written; who has more of them waits.
const OUTBOX: usize = 32;
/// Control frames that a client can send between two pings of the server.
const MOST_CONTROLS: u32 = 1000;
/// How long a goodbye may take to be written.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How long what a client still sends is read and thrown away, so that it reads the goodbye.
const LEFTOVER: Duration = Duration::from_secs(2);

/// A connection after its handshake.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// What the calls of a connection share.
pub(super) struct Link {
    pub(super) front: Arc<Front>,
    /// The credential of the handshake.
    pub(super) credential: Secret<String>,
    pub(super) calls: Calls,
    pub(super) outbox: mpsc::Sender<Message>,
    /// The calls that run.
    running: TaskTracker,
}

/// How a connection ends.
enum Parting {
    /// The client is gone.
    Left,
    /// The goodbye is written.
    Told,
    /// This is yet to be said.
    Say(CloseCode, &'static str),
}

/// Serves one connection to its end.
pub(super) async fn serve(front: Arc<Front>, credential: Secret<String>, socket: Socket) {
    let (outbox, inbox) = mpsc::channel(OUTBOX);
    let calls = Calls::new(front.websocket.max_calls);
    let gone = calls.gone.clone().drop_guard();
    let ping = Duration::from_secs(front.websocket.ping_seconds);
    let link = Arc::new(Link { front, credential, calls, outbox, running: TaskTracker::new() });
    let (mut sink, mut stream) = socket.split();
    let parting = tokio::select! {
        parting = read(&mut stream, &link, ping) => parting,
        parting = write(&mut sink, inbox, ping) => parting,
        never = drain(&link) => match never {},
    };
    // Every call ends at once, whatever the goodbye takes.
    drop(gone);
    part(sink, stream, parting).await;
}

async fn read(stream: &mut SplitStream<Socket>, link: &Arc<Link>, ping: Duration) -> Parting {
    let silence = (ping * 3).max(link.front.read_patience);
    let mut controls = Controls { since: Instant::now(), span: ping, count: 0 };
    loop {
        let Ok(heard) = tokio::time::timeout(silence, stream.next()).await else {
            return Parting::Say(CloseCode::Policy, "nothing was heard for too long");
        };
        match heard {
            None => return Parting::Left,
            Some(Err(error)) => return of_failure(&error),
            Some(Ok(Message::Text(frame))) => {
                if let Err(parting) = link.take(&frame.into()).await {
                    return parting;
                }
            }
            Some(Ok(Message::Binary(_))) => {
                return Parting::Say(CloseCode::Unsupported, "frames are JSON texts");
            }
            Some(Ok(_)) if controls.are_too_many() => {
                return Parting::Say(CloseCode::Policy, "too many control frames");
            }
            Some(Ok(_)) => {}
        }
    }
}

/// Counts control frames: they are answered at once, and cost their sender nothing.
struct Controls {
    since: Instant,
    span: Duration,
    count: u32,
}

impl Controls {
    fn are_too_many(&mut self) -> bool {
        if self.since.elapsed() > self.span {
            (self.since, self.count) = (Instant::now(), 0);
        }
        self.count += 1;
        self.count > MOST_CONTROLS
    }
}

/// What is said to a client that broke the protocol.
fn of_failure(error: &tungstenite::Error) -> Parting {
    match error {
        tungstenite::Error::Capacity(_) => Parting::Say(CloseCode::Size, "a frame is too large"),
        tungstenite::Error::Utf8(_) => Parting::Say(CloseCode::Invalid, "a text is not UTF-8"),
        tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => Parting::Left,
        tungstenite::Error::Protocol(_) => {
            Parting::Say(CloseCode::Protocol, "a frame breaks the WebSocket protocol")
        }
        _ => Parting::Left,
    }
}

async fn write(
    sink: &mut SplitSink<Socket, Message>,
    mut inbox: mpsc::Receiver<Message>,
    ping: Duration,
) -> Parting {
    let mut ticks = tokio::time::interval_at(Instant::now() + ping, ping);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let first = tokio::select! {
            message = inbox.recv() => message,
            _ = ticks.tick() => Some(Message::Ping(Bytes::new())),
        };
        // The connection holds a sender, so there is always a next one.
        let Some(first) = first else { return Parting::Left };
        let more = std::iter::from_fn(|| inbox.try_recv().ok()).take(OUTBOX);
        let batch: Vec<_> = std::iter::once(first).chain(more).collect();
        let last = batch.iter().any(Message::is_close);
        for message in batch {
            if sink.feed(message).await.is_err() {
                return Parting::Left;
            }
        }
        if sink.flush().await.is_err() {
            return Parting::Left;
        }
        if last {
            return Parting::Told;
        }
    }
}

/// When the server stops, the calls that run may end, and then the connection does.
async fn drain(link: &Link) -> Infallible {
    link.front.readiness.closed().await;
    link.running.close();
    link.running.wait().await;
    let goodbye = close(CloseCode::Away, "the server is shutting down");
    // Behind whatever those calls still had to say.
    drop(link.outbox.send(goodbye).await);
    std::future::pending().await
}

fn close(code: CloseCode, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

/// Says goodbye, and reads on for a moment: a connection that is closed with something unread is
/// reset, and then the client sees neither code nor reason.
async fn part(mut sink: SplitSink<Socket, Message>, stream: SplitStream<Socket>, parting: Parting) {
    match parting {
        Parting::Left => return,
        Parting::Told => {}
        Parting::Say(code, reason) => {
            tracing::debug!(reason, "a connection is closed");
            let said = sink.send(close(code, reason));
            if !matches!(tokio::time::timeout(LAST_WORD, said).await, Ok(Ok(()))) {
                return;
            }
        }
    }
    let Ok(socket) = stream.reunite(sink) else { return };
    let mut socket = socket.into_inner();
    let leftover = async {
        socket.shutdown().await?;
        tokio::io::copy(&mut socket, &mut tokio::io::sink()).await
    };
    // Whatever comes of it, the connection is over.
    drop(tokio::time::timeout(LEFTOVER, leftover).await);
}

impl Link {
    /// Takes a frame of the client in.
    async fn take(self: &Arc<Self>, frame: &Bytes) -> Result<(), Parting> {
        match order::read(frame, self.front.max_body_bytes) {
            Ok((call, Order::Begin(order, credit))) => self.begin(call, *order, credit).await,
            // A call that has ended meanwhile needs neither.
            Ok((call, Order::Cancel)) => {
                if let Some(call) = self.calls.find(call) {
                    call.end_with(Error::new(ErrorKind::Cancelled, "the call was cancelled"));
                }
            }
            Ok((call, Order::Leave)) => {
                if let Some(call) = self.calls.find(call) {
                    call.leave();
                }
            }
            Ok((call, Order::Grant(bytes))) => {
                if let Some(call) = self.calls.find(call)
                    && let Err(error) = call.credit.grant(bytes)
                {
                    call.end_with(order::of_grant(error));
                }
            }
            Err(Malformed::Call(call, error)) => match self.calls.find(call) {
                Some(call) => call.end_with(error),
                None => self.refuse(call, error).await,
            },
            Err(Malformed::Frame(reason)) => {
                return Err(Parting::Say(CloseCode::Policy, reason));
            }
        }
        Ok(())
    }

    async fn begin(self: &Arc<Self>, number: u64, order: NewCall, credit: Credit) {
        let error = match self.calls.begin(number, credit) {
            Opening::Open(_) if !self.front.readiness.is_open() => {
                self.calls.close(number);
                busy("the server is shutting down, ask again")
            }
            Opening::Open(call) => {
                let answered = answer::run(Arc::clone(self), order, call);
                let answered = self.running.track_future(answered);
                self.front.gateway.tasks.spawn(answered);
                return;
            }
            Opening::Taken(call) => {
                let message = format!("call {number} is open already: both of them end");
                return call.end_with(Error::invalid("call", message));
            }
            Opening::Used => {
                let message = format!("call {number} is not above the calls before it");
                Error::invalid("call", message)
            }
            Opening::Full => busy("this connection has as many calls as it can have"),
        };
        self.refuse(number, error).await;
    }

    /// Ends a call that was not begun.
    async fn refuse(&self, call: u64, error: Error) {
        let request_id = new_id(self.front.clock.as_ref());
        let kind = error.kind().as_str();
        tracing::info!(request_id, route = "ws", error = kind, "call refused");
        let error = error.with(|body| body.request_id = Some(request_id));
        self.send(frames::error(call, error, &HeaderMap::new())).await;
    }
}

/// Nothing was run, so it can be asked again at once.
fn busy(message: &str) -> Error {
    Error::new(ErrorKind::Overloaded, message).with(|body| body.retry_after_ms = Some(1000))
}
