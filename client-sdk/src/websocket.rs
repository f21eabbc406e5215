//! WebSocket as a transport: every call over one connection, which is opened when it is first
//! needed and closed when the last provider and the last call are gone.

mod handshake;
mod inbox;
mod line;
mod table;

use crate::{
    events,
    failure::Head,
    http::HttpTransport,
    transport::{self, Frame, Frames, Opened, Reply, RunName, Transport},
};
use bytes::Bytes;
use futures_util::stream;
use inbox::{Inbox, Item, WINDOW, length};
use line::{Beginning, Command, Plan};
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use table::Entry;
use tokio::{
    runtime::Handle,
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tollgate_types::{
    BoxFuture, Error, ErrorKind, Result, StreamEvent,
    wire::{
        header, path,
        socket::{Ask, AskType, Told},
    },
};

/// A server that is reached by WebSocket. What only HTTP offers (reports, budgets, keys) is asked
/// there.
pub(crate) struct SocketTransport {
    http: Arc<HttpTransport>,
    silence: Duration,
    /// The connection that is open, or opens.
    line: Mutex<Option<UnboundedSender<Command>>>,
}

impl SocketTransport {
    /// Nothing is opened yet. Where nothing is heard for `silence`, a connection is given up.
    pub(crate) fn new(http: HttpTransport, silence: Duration) -> Self {
        Self { http: Arc::new(http), silence, line: Mutex::new(None) }
    }

    /// Begins a call on the connection, which is opened where there is none.
    fn begin(&self, ask: Ask<'static>, order: &transport::Ask) -> Result<Subscription> {
        let authorization = order.headers.get(AUTHORIZATION).cloned();
        let authorization = authorization.unwrap_or(HeaderValue::from_static(""));
        let inbox = Arc::new(Inbox::new());
        let line = self.line(&authorization)?;
        let request = order.body.clone();
        let entry = Entry(Arc::clone(&inbox));
        // A connection that ends meanwhile drops the entry, and whoever reads the call is told.
        let beginning = Beginning { entry, ask, request, authorization };
        drop(line.send(Command::Begin(Box::new(beginning))));
        Ok(Subscription { inbox, line, ended: false })
    }

    fn line(&self, authorization: &HeaderValue) -> Result<UnboundedSender<Command>> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = line.as_ref().filter(|line| !line.is_closed()) {
            return Ok(line.clone());
        }
        let runtime = Handle::try_current().map_err(|error| {
            let message = "a WebSocket needs a Tokio runtime around it";
            Error::new(ErrorKind::InvalidRequest, message).with_source(error)
        })?;
        let (sender, commands) = unbounded_channel();
        let (http, authorization) = (Arc::clone(&self.http), authorization.clone());
        let plan = Plan { http, authorization, silence: self.silence };
        drop(runtime.spawn(line::run(plan, commands)));
        *line = Some(sender.clone());
        Ok(sender)
    }
}

impl fmt::Debug for SocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketTransport").field("http", &self.http).finish_non_exhaustive()
    }
}

impl Transport for SocketTransport {
    fn notices_silence(&self) -> bool {
        true
    }

    fn ask<'a>(&'a self, ask: &'a transport::Ask) -> BoxFuture<'a, Result<Reply>> {
        let kind = match (&ask.method, ask.path.as_str()) {
            (&Method::POST, path::GENERATE) => AskType::Generate,
            (&Method::POST, path::EMBED) => AskType::Embed,
            (&Method::POST, path::COUNT_TOKENS) => AskType::CountTokens,
            (&Method::GET, path::MODELS) => AskType::Models,
            _ => return self.http.ask(ask),
        };
        Box::pin(async move { self.begin(of_headers(kind, &ask.headers)?, ask)?.reply().await })
    }

    fn stream<'a>(&'a self, ask: &'a transport::Ask) -> BoxFuture<'a, Result<Opened>> {
        if ask.path != path::STREAM {
            return self.http.stream(ask);
        }
        Box::pin(async move {
            let credit = Some(WINDOW);
            let wanted = Ask { credit, ..of_headers(AskType::Stream, &ask.headers)? };
            self.begin(wanted, ask)?.opened().await
        })
    }

    fn resume<'a>(
        &'a self,
        run: &'a RunName,
        after: Option<u64>,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<Opened>> {
        Box::pin(async move {
            let (run, credit) = (Some(run.to_string()), Some(WINDOW));
            let wanted = Ask { run, after, credit, ..Ask::new(0, AskType::Resume) };
            self.begin(wanted, &without_body(headers))?.opened().await
        })
    }

    fn cancel<'a>(&'a self, run: &'a RunName, headers: &'a HeaderMap) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let wanted = Ask { run: Some(run.to_string()), ..Ask::new(0, AskType::Cancel) };
            self.begin(wanted, &without_body(headers))?.reply().await.map(drop)
        })
    }
}

fn without_body(headers: &HeaderMap) -> transport::Ask {
    let (path, query, headers) = (path::SOCKET.to_owned(), Vec::new(), headers.clone());
    transport::Ask { method: Method::GET, path, query, headers, body: None }
}

/// What would be headers over HTTP.
fn of_headers(kind: AskType, headers: &HeaderMap) -> Result<Ask<'static>> {
    let mut ask = Ask::new(0, kind);
    let answers = matches!(kind, AskType::Generate | AskType::Stream);
    let once = answers || kind == AskType::Embed;
    for (name, value) in headers {
        let text = || {
            let message = format!("the header {name} holds what no JSON text can");
            value.to_str().map(str::to_owned).map_err(|_| Error::invalid(name.as_str(), message))
        };
        match name.as_str() {
            header::IDEMPOTENCY_KEY if once => ask.idempotency_key = Some(text()?),
            header::RESUMABLE if answers => ask.resumable = value == "true",
            name => {
                if let Some(tag) = name.strip_prefix(header::TAG_PREFIX) {
                    ask.tags.insert(tag.to_owned(), text()?);
                }
            }
        }
    }
    Ok(ask)
}

/// One call as its reader has it. Dropping it before its end tells the server that nobody reads it.
struct Subscription {
    inbox: Arc<Inbox>,
    line: UnboundedSender<Command>,
    ended: bool,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if !self.ended {
            self.inbox.leave();
            // Where the connection is gone, the call is too.
            drop(self.line.send(Command::Leave(Arc::clone(&self.inbox))));
        }
    }
}

impl Subscription {
    /// The next frame, and its envelope.
    async fn frame(&mut self) -> Result<Utf8Bytes> {
        loop {
            match self.inbox.next().await {
                Item::Ping => {}
                Item::Frame(frame) => return Ok(frame),
                Item::Lost(error) => return Err(error),
            }
        }
    }

    /// The answer of a call that is answered whole.
    async fn reply(mut self) -> Result<Reply> {
        let frame = self.frame().await?;
        let told = read(&frame)?;
        let head = head(&told);
        self.ended = true;
        match (told.error, told.response) {
            (Some(error), _) => Err(head.name(error)),
            (None, Some(response)) => {
                let body = Bytes::copy_from_slice(response.get().as_bytes());
                Ok(Reply { head, body })
            }
            (None, None) => Err(head.not_tollgate("the answer holds neither response nor error")),
        }
    }

    /// The stream of a call, once the server has accepted it.
    async fn opened(mut self) -> Result<Opened> {
        let frame = self.frame().await?;
        let told = read(&frame)?;
        let head = head(&told);
        if let Some(error) = told.error {
            self.ended = true;
            return Err(head.name(error));
        }
        if told.event.is_some() || told.response.is_some() {
            return Err(head.not_tollgate("the stream begins without a head"));
        }
        Ok(Opened { head, frames: self.frames() })
    }

    fn frames(self) -> Frames {
        Box::pin(stream::try_unfold(self, |mut call| async move {
            if call.ended {
                return Ok(None);
            }
            Ok(Some((call.piece().await?, call)))
        }))
    }

    async fn piece(&mut self) -> Result<Frame> {
        let frame = match self.inbox.next().await {
            Item::Ping => return Ok(Frame::Ping),
            Item::Frame(frame) => frame,
            Item::Lost(error) => return Err(broken_off(error)),
        };
        let told = read(&frame)?;
        let Some(number) = told.event else {
            let Some(error) = told.error else { return Ok(Frame::Ping) };
            self.ended = true;
            return Ok(Frame::Event { number: None, event: StreamEvent::Error { error } });
        };
        let event = events::decode(frame.as_str().as_bytes())
            .map_err(|error| head(&told).unreadable("an event", &error))?;
        self.ended = matches!(event, StreamEvent::Finish { .. } | StreamEvent::Error { .. });
        if !self.ended
            && let Some(granted) = self.inbox.give_back(length(&frame))
        {
            drop(self.line.send(Command::Credit(Arc::clone(&self.inbox), granted)));
        }
        Ok(Frame::Event { number: Some(number), event: bare(event) })
    }
}

/// An answer that had begun broke with its connection.
fn broken_off(error: Error) -> Error {
    if error.kind() != ErrorKind::Connection {
        return error;
    }
    let message = format!("the stream broke off: {}", error.message());
    Error::new(ErrorKind::StreamInterrupted, message).with_source(error)
}

/// An event of a newer server without the numbers of its frame.
fn bare(mut event: StreamEvent) -> StreamEvent {
    if let StreamEvent::Raw { api, value } = &mut event
        && api == events::NATIVE_API
        && let Some(fields) = value.as_object_mut()
    {
        fields.remove("call");
        fields.remove("event");
    }
    event
}

fn read(frame: &Utf8Bytes) -> Result<Told<'_>> {
    let unknown = Head::named(None);
    serde_json::from_str(frame).map_err(|error| unknown.unreadable("a frame", &error))
}

fn head(told: &Told<'_>) -> Head {
    Head::named(told.head.get(header::REQUEST_ID).cloned())
}
