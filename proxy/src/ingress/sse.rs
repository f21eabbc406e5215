//! Server-sent events with a heartbeat.

use axum::{
    body::Body,
    http::{
        HeaderValue, Response,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
};
use bytes::Bytes;
use std::{convert::Infallible, time::Duration};
use tollgate_types::{EventStream, Result, StreamEvent};

/// Silence after which a heartbeat is sent: below every idle timeout that is common.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How a dialect writes events.
pub(super) trait Framing: Send + 'static {
    /// The bytes of one event, or of the error that ends the stream.
    fn frame(&mut self, item: Result<StreamEvent>) -> Bytes;

    /// The bytes that keep a silent connection open.
    fn heartbeat(&self) -> Bytes;
}

/// A streamed answer. Dropping its body drops the events, which stops the upstream.
pub(super) fn response(events: EventStream, framing: impl Framing) -> Response<Body> {
    let frames =
        futures_util::stream::unfold((events, framing), |(mut events, mut framing)| async {
            let bytes = match tokio::time::timeout(HEARTBEAT, events.next()).await {
                Ok(item) => framing.frame(item?),
                Err(_) => framing.heartbeat(),
            };
            Some((Ok::<_, Infallible>(bytes), (events, framing)))
        });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx holds back what it proxies unless told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
