//! One call of a method: from the bytes of a request to its message, and from a message or a
//! problem to the bytes of an answer.

use super::{deadline::Deadline, message, relay::Running, status, unknown};
use crate::{
    access::Caller,
    ingress::{front::Front, native, problem},
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE},
};
use bytes::Bytes;
use prost::{Message, Name};
use std::sync::Arc;
use tollgate_types::{Error, Result};

/// Why a method gives no answer.
pub(super) type Problem = problem::Problem<native::Shape>;

/// A request to a method whose message is not read yet.
pub(super) struct Asked {
    pub(super) front: Arc<Front>,
    /// Metadata.
    pub(super) headers: HeaderMap,
    /// Tollgate's id of the request.
    pub(super) request_id: String,
    /// How long the caller waits.
    pub(super) deadline: Deadline,
    body: Body,
}

/// A message and the metadata before it.
#[derive(Debug)]
pub(super) struct Reply<M> {
    pub(super) message: M,
    pub(super) headers: HeaderMap,
}

impl<M> From<M> for Reply<M> {
    fn from(message: M) -> Self {
        Self { message, headers: HeaderMap::new() }
    }
}

/// Runs a method that answers with one message, at most until the caller's deadline.
pub(super) async fn unary<M, F>(
    front: Arc<Front>,
    request_id: String,
    request: Request,
    method: fn(Asked, Arc<Caller>) -> F,
) -> Response<Body>
where
    M: Message,
    F: Future<Output = Result<Reply<M>, Problem>>,
{
    let answered = async {
        let asked = Asked::of(front, request_id.clone(), request)?;
        let deadline = asked.deadline;
        deadline.before(guarded(asked, method)).await?
    };
    match answered.await {
        Ok(Reply { message, headers }) => {
            let body = message::whole(&message);
            respond(body, headers)
        }
        Err(problem) => status::refuse(problem, &request_id),
    }
}

/// Runs a method that answers with events; the deadline counts until the last of them.
pub(super) async fn streaming<F>(
    front: Arc<Front>,
    request_id: String,
    request: Request,
    method: fn(Asked, Arc<Caller>) -> F,
) -> Response<Body>
where
    F: Future<Output = Result<Running, Problem>>,
{
    let tasks = front.gateway.tasks.clone();
    let begun = async {
        let asked = Asked::of(front, request_id.clone(), request)?;
        let deadline = asked.deadline;
        Ok((deadline, deadline.before(guarded(asked, method)).await??))
    };
    match begun.await {
        Ok((deadline, mut running)) => {
            let headers = std::mem::take(&mut running.headers);
            respond(running.relay(&tasks, deadline), headers)
        }
        Err(problem) => status::refuse(problem, &request_id),
    }
}

/// Runs a method for somebody who is known, which is seen to before the message is read.
async fn guarded<T, F>(asked: Asked, method: fn(Asked, Arc<Caller>) -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let front = Arc::clone(&asked.front);
    let caller = front.caller(&asked.headers).await?;
    method(asked, caller).await
}

/// An answer that begins well; how it ends is said behind it.
pub(super) fn respond(body: Body, headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

impl Asked {
    pub(super) fn of(front: Arc<Front>, request_id: String, request: Request) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let headers = parts.headers;
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if !content_type.is_some_and(|text| text.starts_with(b"application/grpc")) {
            let message = "the content type must be application/grpc";
            return Err(Error::invalid(CONTENT_TYPE.as_str(), message));
        }
        let deadline = Deadline::of(&headers)?;
        Ok(Self { front, headers, request_id, deadline, body })
    }

    /// Reads the message.
    ///
    /// # Errors
    /// `too_large`, `timeout`, or `invalid_request` for bytes that are no such message, and for
    /// fields that nobody here knows: what was asked for with them would be dropped.
    pub(super) async fn message<M: Message + Name + Default>(&mut self) -> Result<M> {
        let body = std::mem::take(&mut self.body);
        let limits = (self.front.max_body_bytes, self.front.read_patience);
        let bytes: Bytes = message::read(&self.headers, body, limits).await?;
        let message = M::decode(bytes.clone()).map_err(|error| {
            let text = format!("the message is no {}: {error}", M::full_name());
            Error::invalid("message", text)
        })?;
        unknown::refuse(&M::full_name(), &bytes)?;
        Ok(message)
    }
}
