//! One connection and the calls on it: a task that ends with the connection, or when nobody holds
//! an end of it any more.
//!
//! Reading and writing wait for nothing but the network, each on its own: two sides that both write
//! and do not read would wait for each other for ever.

use super::{
    handshake::{Connected, connect},
    inbox::Inbox,
    table::{Entry, Table, lost},
};
use crate::http::HttpTransport;
use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use reqwest::{Upgraded, header::HeaderValue};
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};
use tollgate_types::{
    Error, ErrorKind,
    wire::socket::{Ask, AskType},
};

type Socket = WebSocketStream<Upgraded>;

/// The longest time between two pings of this client.
const PING: Duration = Duration::from_secs(15);
/// How long the server may take to answer the goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// Frames that are written before they are flushed.
const BATCH: usize = 32;

/// What the connection is told. Of one call there is at most one `Begin`, one `Leave` and, for each
/// half of a window that was read, one `Credit`; so the queue of them is bounded by what is read.
pub(super) enum Command {
    /// Begin a call.
    Begin(Box<Beginning>),
    /// Grant a call so many bytes more.
    Credit(Arc<Inbox>, u64),
    /// Nobody reads the call any more.
    Leave(Arc<Inbox>),
}

/// A call that is to be begun.
pub(super) struct Beginning {
    pub(super) entry: Entry,
    /// Everything but the number and the request.
    pub(super) ask: Ask<'static>,
    pub(super) request: Option<Bytes>,
    pub(super) authorization: HeaderValue,
}

/// What a connection needs to open and to be kept.
pub(super) struct Plan {
    pub(super) http: Arc<HttpTransport>,
    /// Of the call that it is opened for.
    pub(super) authorization: HeaderValue,
    /// How long nothing may be heard.
    pub(super) silence: Duration,
}

/// Opens a connection and serves the calls on it, to its end.
pub(super) async fn run(plan: Plan, mut commands: UnboundedReceiver<Command>) {
    let Some((connected, backlog)) = open(&plan, &mut commands).await else { return };
    let Connected { socket, max_frame } = connected;
    let table = Table::default();
    let (mut sink, mut stream) = socket.split();
    let writer = Writer { plan: &plan, table: &table, max_frame, highest: 0 };
    let ended = tokio::select! {
        error = read(&mut stream, &table, plan.silence) => Some(error),
        ended = writer.write(&mut sink, backlog, &mut commands) => ended,
    };
    match ended {
        // Nobody is left: the server hears of it.
        None => drop(timeout(GOODBYE, part(sink, stream)).await),
        Some(error) => {
            commands.close();
            table.lose_all(&error);
            while let Ok(command) = commands.try_recv() {
                if let Command::Begin(beginning) = command {
                    beginning.entry.0.lose(error.clone());
                }
            }
        }
    }
}

/// Opens the connection; what is asked meanwhile is kept. `None` when that came to nothing, which
/// everybody who waited has been told.
async fn open(
    plan: &Plan,
    commands: &mut UnboundedReceiver<Command>,
) -> Option<(Connected, Vec<Command>)> {
    let mut backlog = Vec::new();
    let connecting = timeout(plan.silence, connect(&plan.http, &plan.authorization));
    let mut connecting = std::pin::pin!(connecting);
    let connected = loop {
        tokio::select! {
            connected = &mut connecting => break connected,
            command = commands.recv() => backlog.push(command?),
        }
    };
    let error = match connected {
        Ok(Ok(connected)) => return Some((connected, backlog)),
        Ok(Err(error)) => error,
        Err(_) => lost("it does not answer"),
    };
    commands.close();
    while let Ok(command) = commands.try_recv() {
        backlog.push(command);
    }
    for command in backlog {
        if let Command::Begin(beginning) = command {
            beginning.entry.0.lose(told(&error, plan, &beginning));
        }
    }
    None
}

/// What a failed handshake means for a call: a credential that was refused is not everybody's.
fn told(error: &Error, plan: &Plan, beginning: &Beginning) -> Error {
    let of_credential =
        matches!(error.kind(), ErrorKind::Authentication | ErrorKind::PermissionDenied);
    if of_credential && beginning.authorization != plan.authorization {
        return lost("it was opened with another credential, which was refused");
    }
    error.clone()
}

/// Reads frames until the connection ends, and says why it did.
async fn read(stream: &mut SplitStream<Socket>, table: &Table, silence: Duration) -> Error {
    loop {
        match timeout(silence, stream.next()).await {
            Err(_) => return lost(&format!("nothing was heard for {silence:?}")),
            Ok(None) => return lost("it was closed"),
            Ok(Some(Err(error))) => return lost(&error.to_string()).with_source(error),
            Ok(Some(Ok(Message::Text(text)))) => {
                if let Err(error) = table.dispatch(text) {
                    return error;
                }
            }
            Ok(Some(Ok(Message::Close(Some(frame))))) => return closed(&frame),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => table.ping(),
            Ok(Some(Ok(Message::Binary(_)))) => {
                let message = "the server sends frames that are no text";
                return Error::new(ErrorKind::Protocol, message);
            }
            Ok(Some(Ok(_))) => {}
        }
    }
}

/// The server closed the connection and says why.
fn closed(frame: &CloseFrame) -> Error {
    let reason = frame.reason.as_str();
    match frame.code {
        CloseCode::Protocol | CloseCode::Unsupported | CloseCode::Invalid | CloseCode::Policy => {
            let message = format!("the server closed the connection: {reason}");
            Error::new(ErrorKind::Connection, message)
                .with(|body| body.code = Some(u16::from(frame.code).to_string()))
        }
        _ => lost(reason),
    }
}

struct Writer<'a> {
    plan: &'a Plan,
    table: &'a Table,
    max_frame: usize,
    /// The highest number of a call so far.
    highest: u64,
}

impl Writer<'_> {
    /// Writes what is asked, and pings. `None` when nobody is left who could ask.
    async fn write(
        mut self,
        sink: &mut SplitSink<Socket, Message>,
        backlog: Vec<Command>,
        commands: &mut UnboundedReceiver<Command>,
    ) -> Option<Error> {
        let every = (self.plan.silence / 3).clamp(Duration::from_millis(10), PING);
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = backlog;
        loop {
            for command in batch.drain(..) {
                let Some(frame) = self.frame(command) else { continue };
                if let Err(error) = sink.feed(Message::Text(frame)).await {
                    return Some(lost(&error.to_string()).with_source(error));
                }
            }
            if let Err(error) = sink.flush().await {
                return Some(lost(&error.to_string()).with_source(error));
            }
            let ping = tokio::select! {
                count = commands.recv_many(&mut batch, BATCH) => match count {
                    0 => return None,
                    _ => None,
                },
                _ = ticks.tick() => Some(Message::Ping(Bytes::new())),
            };
            if let Some(ping) = ping
                && let Err(error) = sink.feed(ping).await
            {
                return Some(lost(&error.to_string()).with_source(error));
            }
        }
    }

    /// The frame of a command; none where it is not needed any more.
    fn frame(&mut self, command: Command) -> Option<Utf8Bytes> {
        match command {
            Command::Begin(beginning) => self.begin(*beginning),
            Command::Credit(inbox, bytes) => {
                let number = inbox.number()?;
                let credit = Some(bytes);
                written(&Ask { credit, ..Ask::new(number, AskType::Credit) })
            }
            Command::Leave(inbox) => {
                let number = inbox.number()?;
                // One that has ended at the server needs no frame.
                self.table.open().remove(&number)?;
                written(&Ask::new(number, AskType::Leave))
            }
        }
    }

    fn begin(&mut self, beginning: Beginning) -> Option<Utf8Bytes> {
        let Beginning { entry, ask, request, authorization } = beginning;
        if entry.0.is_left() {
            return None;
        }
        let refuse = |error: Error| {
            entry.0.lose(error);
            None
        };
        let request: Option<&RawValue> = match request.as_deref().map(serde_json::from_slice) {
            None => None,
            Some(Ok(request)) => Some(request),
            Some(Err(error)) => {
                let message = "the request is not JSON";
                return refuse(Error::invalid("request", message).with_source(error));
            }
        };
        self.highest += 1;
        let credential = (authorization != self.plan.authorization).then(|| bearer(&authorization));
        let credential = credential.flatten();
        let frame = written(&Ask { call: self.highest, request, credential, ..ask })?;
        if frame.len() > self.max_frame {
            let message = format!(
                "the request is larger than the {} bytes that the server takes",
                self.max_frame
            );
            return refuse(Error::new(ErrorKind::TooLarge, message));
        }
        entry.0.begin(self.highest);
        self.table.open().insert(self.highest, entry);
        Some(frame)
    }
}

/// The credential alone.
fn bearer(authorization: &HeaderValue) -> Option<String> {
    Some(authorization.to_str().ok()?.strip_prefix("Bearer ")?.to_owned())
}

fn written(ask: &Ask<'_>) -> Option<Utf8Bytes> {
    serde_json::to_string(ask).ok().map(Utf8Bytes::from)
}

/// Says goodbye and waits until the server has heard it.
async fn part(mut sink: SplitSink<Socket, Message>, mut stream: SplitStream<Socket>) {
    let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    if sink.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = stream.next().await {}
    }
}
