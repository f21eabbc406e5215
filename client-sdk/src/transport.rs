//! One way to reach a server. A transport makes single attempts and nothing else: retries, joining
//! a run again, idempotency keys, time limits and cancelling stand above it, once for all of them.

use crate::failure::Head;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use reqwest::{Method, header::HeaderMap};
use std::fmt;
use tollgate_types::{BoxFuture, Result, StreamEvent, wire::path};

/// How a provider reaches its server. Whatever it is, calls are made, tried again, joined again and
/// cancelled alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportKind {
    /// A request for each call; streams are server-sent events.
    #[default]
    Http,
    /// gRPC: all calls share one HTTP/2 connection, each with a flow control of its own. The address
    /// of the server's `[grpc]` listener is given to
    /// [`Builder::grpc_server`](crate::Builder::grpc_server).
    #[cfg(feature = "grpc")]
    Grpc,
    /// All calls over one connection, each with a flow of its own.
    #[cfg(feature = "websocket")]
    WebSocket,
}

/// One attempt of a call.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Path below the server's address; what is not plain in it is percent-encoded already.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    /// The credential, the idempotency key, labels and options. Transports other than HTTP carry
    /// them as their own kind of metadata.
    pub(crate) headers: HeaderMap,
    /// JSON.
    pub(crate) body: Option<Bytes>,
}

/// Shows where it goes, and neither key nor prompt.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A whole answer that says success.
pub(crate) struct Reply {
    pub(crate) head: Head,
    /// JSON.
    pub(crate) body: Bytes,
}

/// Shows whose answer it is, and not what it says.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("head", &self.head).finish_non_exhaustive()
    }
}

/// A piece of an open stream.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every one is an event, which is not to be boxed"
)]
pub(crate) enum Frame {
    /// The server lives.
    Ping,
    /// An event. [`StreamEvent::Error`] is the end of the run as the server tells it.
    Event {
        /// Its number within the run; absent only with servers that do not number.
        number: Option<u64>,
        /// The event.
        event: StreamEvent,
    },
}

/// The pieces of an open stream. An error is a failure of the connection, and the last piece; the
/// stream may also just end. Dropping it closes the connection or its share of it.
pub(crate) type Frames = BoxStream<'static, Result<Frame>>;

/// A stream that has begun.
pub(crate) struct Opened {
    pub(crate) head: Head,
    pub(crate) frames: Frames,
}

/// How a client names a run: by its id once that is known, before by the idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunName {
    Id(String),
    Key(String),
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::Key(key) => write!(f, "key:{key}"),
        }
    }
}

impl RunName {
    /// The run's path, or one below it.
    fn path(&self, below: &str) -> String {
        format!("{}/{}{below}", path::RUNS, segment(&self.to_string()))
    }
}

/// One way to reach a server: makes single attempts. Dropping a future gives its attempt up.
pub(crate) trait Transport: Send + Sync + fmt::Debug + 'static {
    /// Whether it finds out by itself that a connection died while a call waits for its answer to
    /// begin. A request of HTTP waits in silence, for as long as the model thinks.
    fn notices_silence(&self) -> bool {
        false
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// What the server refuses, with its own retry signal; `connection` when no whole answer came.
    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Reply>>;

    /// Asks for a stream. Done when the server has accepted the call.
    ///
    /// # Errors
    /// As [`Transport::ask`].
    fn stream<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Opened>>;

    /// Joins a run again behind the event `after`, or from its beginning. The headers are those of
    /// an [`Ask`].
    ///
    /// # Errors
    /// As [`Transport::ask`].
    fn resume<'a>(
        &'a self,
        run: &'a RunName,
        after: Option<u64>,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<Opened>> {
        let query = after.map(|number| ("after", number.to_string())).into_iter().collect();
        let (method, headers) = (Method::GET, headers.clone());
        let ask = Ask { method, path: run.path("/events"), query, headers, body: None };
        Box::pin(async move { self.stream(&ask).await })
    }

    /// Cancels a run, for good.
    ///
    /// # Errors
    /// As [`Transport::ask`].
    fn cancel<'a>(&'a self, run: &'a RunName, headers: &'a HeaderMap) -> BoxFuture<'a, Result<()>> {
        let (method, headers) = (Method::DELETE, headers.clone());
        let ask = Ask { method, path: run.path(""), query: Vec::new(), headers, body: None };
        Box::pin(async move { self.ask(&ask).await.map(drop) })
    }
}

/// A segment of a path: what is not plain is percent-encoded.
fn segment(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut segment, byte| {
        if byte.is_ascii_alphanumeric() || b"-_~:.".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
        segment
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_in_a_path_whatever_its_key_holds() {
        let key = |key: &str| RunName::Key(key.to_owned()).path("/events");
        assert_eq!(key("a-1"), "/api/v1/runs/key:a-1/events");
        assert_eq!(key("a/b?c#d%e f"), "/api/v1/runs/key:a%2Fb%3Fc%23d%25e%20f/events");
        assert_eq!(RunName::Id("01j".to_owned()).path(""), "/api/v1/runs/01j");
    }
}
