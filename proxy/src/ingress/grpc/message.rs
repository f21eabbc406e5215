//! Messages as gRPC frames them: five bytes before each, and a status behind the last.

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, HeaderValue},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message;
use std::{convert::Infallible, time::Duration};
use tokio::time::timeout;
use tollgate_types::{Blame, Error, ErrorKind, Result};
use tonic::{
    Code, Status, Streaming,
    codec::{DecodeBuf, Decoder},
};

/// Hands the bytes of a message out as they are.
struct Verbatim;

impl Decoder for Verbatim {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        use bytes::Buf;
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}

/// Reads the one message of a request, as bytes.
///
/// # Errors
/// `too_large` over the limit, `timeout` when it takes too long, `invalid_request` when it breaks,
/// is not alone, or is compressed.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    (limit, patience): (usize, Duration),
) -> Result<Bytes> {
    let encoding = headers.get("grpc-encoding").map_or(&b"identity"[..], HeaderValue::as_bytes);
    if encoding != b"identity" {
        let message = "compressed messages are not read; send them with grpc-encoding identity";
        return Err(Error::new(ErrorKind::Unsupported, message)
            .with(|body| body.param = Some("grpc-encoding".to_owned())));
    }
    let reading = read_bounded(body, limit);
    timeout(patience, reading).await.unwrap_or_else(|_| {
        let message = format!("the message did not arrive within {} s", patience.as_secs());
        Err(Error::new(ErrorKind::Timeout, message).with(|body| body.blame = Blame::Caller))
    })
}

async fn read_bounded(body: Body, limit: usize) -> Result<Bytes> {
    let mut messages = Streaming::new_request(Verbatim, body, None, Some(limit));
    let broken = |status: Status| match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            let message = format!("the message is larger than the {limit} bytes that are accepted");
            Error::new(ErrorKind::TooLarge, message)
        }
        _ => Error::invalid("message", "the message broke off, or is not framed as gRPC does"),
    };
    let first = messages.message().await.map_err(broken)?;
    let first = first.ok_or_else(|| Error::invalid("message", "there is no message"))?;
    match messages.message().await.map_err(broken)? {
        None => Ok(first),
        Some(_) => Err(Error::invalid("message", "this method takes one message, not several")),
    }
}

/// A message in its frame.
pub(super) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(length.saturating_add(5));
    bytes.put_u8(0);
    // Longer than the sign can say is longer than any memory of an answer.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    bytes.extend_from_slice(&message.encode_to_vec());
    bytes.freeze()
}

/// The status of what went well.
pub(super) fn ok() -> HeaderMap {
    HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))])
}

/// The body of an answer of one message.
pub(super) fn whole(message: &impl Message) -> Body {
    let frames = [Frame::data(frame(message)), Frame::trailers(ok())];
    body(stream::iter(frames.map(Ok::<_, Infallible>)))
}

/// A body of frames, the last of which says how it ended.
pub(super) fn body<S, E>(frames: S) -> Body
where
    S: Stream<Item = Result<Frame<Bytes>, E>> + Send + 'static,
    E: Into<axum::BoxError> + 'static,
    StreamBody<S>: HttpBody<Data = Bytes, Error = E>,
{
    Body::new(StreamBody::new(frames))
}
