//! Messages as gRPC frames them.

use super::failed;
use crate::{answer, failure::Head};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;
use prost::Message;
use reqwest::{Body, Response, StatusCode, header::CONTENT_TYPE};
use std::marker::PhantomData;
use tollgate_types::{Error, ErrorKind, Result};
use tonic::{
    Code, Status, Streaming,
    codec::{DecodeBuf, Decoder},
};

/// Details of a status that Tollgate does not send. They are taken out unread: the library that
/// reads statuses panics on broken ones.
const DETAILS: &str = "grpc-status-details-bin";

/// A message in its frame.
///
/// # Errors
/// `too_large` over 4 GiB.
pub(super) fn frame(message: &impl Message) -> Result<Bytes> {
    let length = message.encoded_len();
    let said = u32::try_from(length)
        .map_err(|_| Error::new(ErrorKind::TooLarge, "the request is larger than 4 GiB"))?;
    let mut bytes = BytesMut::with_capacity(length.saturating_add(5));
    bytes.put_u8(0);
    bytes.put_u32(said);
    bytes.extend_from_slice(&message.encode_to_vec());
    Ok(bytes.freeze())
}

/// The messages of an answer, the status behind them among them.
///
/// # Errors
/// What the server refuses, `protocol` when it is no gRPC server.
pub(super) async fn read<A: Message + Default + 'static>(
    mut response: Response,
    head: &Head,
) -> Result<Streaming<A>> {
    if response.status() != StatusCode::OK {
        return Err(answer::refusal(response).await);
    }
    let content_type = response.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
    if !content_type.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
        return Err(head.not_tollgate("the answer is not gRPC"));
    }
    response.headers_mut().remove(DETAILS);
    // An answer that is nothing but a status has it in its head.
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != Code::Ok
    {
        return Err(head.name(failed::answer(&status)));
    }
    let body = Body::from(response).map_frame(|mut frame| {
        if let Some(trailers) = frame.trailers_mut() {
            trailers.remove(DETAILS);
        }
        frame
    });
    let decoder = Protobuf(PhantomData);
    Ok(Streaming::new_response(decoder, body, StatusCode::OK, None, Some(answer::LARGEST)))
}

/// Reads a message.
struct Protobuf<A>(PhantomData<fn() -> A>);

impl<A: Message + Default> Decoder for Protobuf<A> {
    type Item = A;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<A>, Status> {
        let bytes = source.copy_to_bytes(source.remaining());
        A::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
