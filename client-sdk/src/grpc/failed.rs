//! Statuses of gRPC as the vocabulary's one error.

use crate::failure;
use std::error::Error as _;
use tollgate_types::{
    Error, ErrorKind,
    proto::metadata::{ERROR, EVENT_NUMBER},
};
use tonic::{Code, Status};

/// Code of a status that no Tollgate server gave.
const NOT_TOLLGATE: &str = "not_tollgate";

/// No answer came.
pub(super) fn connection(error: reqwest::Error) -> Error {
    // What does not speak HTTP/2 closes the connection without saying why.
    let unexplained = !error.is_connect() && !error.is_builder();
    let explained = failure::transport(error);
    if !unexplained || explained.body().code.is_some() {
        return explained;
    }
    explained.with(|body| {
        body.message.push_str("; if that stays so: is it the address of the server's grpc.listen?");
    })
}

/// The error that a Tollgate server sent with a status, and the number of the event that it is.
pub(super) fn told(status: &Status) -> Option<(Option<u64>, Error)> {
    let json = status.metadata().get_bin(ERROR)?.to_bytes().ok()?;
    let error = serde_json::from_slice(&json).ok()?;
    let number = status.metadata().get(EVENT_NUMBER);
    Some((number.and_then(|number| number.to_str().ok()?.parse().ok()), error))
}

/// Why there is no whole answer.
pub(super) fn answer(status: &Status) -> Error {
    told(status).map_or_else(|| of(status, ErrorKind::Connection), |(_, error)| error)
}

/// A status that came from something between, or that stands for a connection that broke; what kind
/// of failure that is depends on what had come by then.
pub(super) fn of(status: &Status, broken: ErrorKind) -> Error {
    if let Some(source) = status.source() {
        let message = format!("the connection broke: {}", failure::deepest(source));
        return Error::new(broken, message);
    }
    let kind = match status.code() {
        // No status came, or one of the network's.
        Code::Unknown | Code::Unavailable | Code::Cancelled | Code::Aborted => broken,
        Code::DeadlineExceeded => ErrorKind::Timeout,
        Code::ResourceExhausted => ErrorKind::Overloaded,
        Code::Unauthenticated => ErrorKind::Authentication,
        Code::PermissionDenied => ErrorKind::PermissionDenied,
        Code::NotFound => ErrorKind::NotFound,
        Code::InvalidArgument => ErrorKind::InvalidRequest,
        Code::Unimplemented => ErrorKind::Unsupported,
        _ => ErrorKind::Protocol,
    };
    if kind == broken {
        return Error::new(kind, "the answer broke off without a status");
    }
    // What a stranger says is not quoted: it may echo the request.
    let message =
        format!("not a Tollgate answer: gRPC status {:?}; check the address", status.code());
    Error::new(kind, message).with(|body| body.code = Some(NOT_TOLLGATE.to_owned()))
}
