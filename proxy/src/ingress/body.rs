//! Request bodies: bounded in size and time, and read to the end even when refused, because a
//! client that is still sending does not read an answer.

use super::{front::Front, problem};
use axum::{
    body::Body,
    http::{HeaderMap, Request, header::CONTENT_LENGTH},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tollgate_types::{
    Blame, CallOptions, Error, ErrorKind, OnUnsupported, Original, Result, wire::header,
};

/// How much of a body that is too large is read and thrown away before the connection is given up.
const DISCARD_AT_MOST: usize = 128 * 1024 * 1024;
/// As much room is made for a body that was only announced.
const RESERVED: usize = 256 * 1024;
/// Labels that a call can carry, and the longest name and value of one: what is summed by them has to
/// fit into an index of the database.
const MAX_TAGS: usize = 16;
const MAX_TAG_NAME_BYTES: usize = 64;
const MAX_TAG_BYTES: usize = 256;
/// The longest idempotency key.
const MAX_KEY_BYTES: usize = 255;

/// How much of all bodies is received and not whole yet.
#[derive(Debug)]
pub struct Intake {
    held: AtomicUsize,
    most: usize,
}

impl Intake {
    /// At most so many bytes at once.
    pub fn new(most: usize) -> Self {
        Self { held: AtomicUsize::new(0), most }
    }
}

/// What one body takes of it. Dropping this gives it back.
struct Share<'i> {
    intake: &'i Intake,
    bytes: usize,
}

impl Share<'_> {
    fn grow(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        let before = self.intake.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.intake.most {
            return Ok(());
        }
        Err(problem::busy("the server receives too many bytes at once, try again"))
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.intake.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads the body of a model call. A server that is full says so before it reads anything.
///
/// # Errors
/// As [`read`]; `overloaded` when the server is full.
pub(super) async fn read_call(front: &Front, request: Request<Body>) -> Result<Bytes> {
    front.gateway.limits.check_room().map_err(problem::of_full)?;
    read(front, request).await
}

/// Reads a whole body.
///
/// # Errors
/// `too_large` over the limit, `timeout` when it takes too long, `invalid_request` when it breaks,
/// `overloaded` when too much is received at once.
pub(super) async fn read(front: &Front, request: Request<Body>) -> Result<Bytes> {
    let patience = front.read_patience;
    let share = Share { intake: &front.intake, bytes: 0 };
    let reading = read_bounded(front.max_body_bytes, request, share);
    tokio::time::timeout(patience, reading).await.unwrap_or_else(|_| {
        let message = format!("the body did not arrive within {} s", patience.as_secs());
        Err(Error::new(ErrorKind::Timeout, message).with(|body| body.blame = Blame::Caller))
    })
}

async fn read_bounded(limit: usize, request: Request<Body>, mut share: Share<'_>) -> Result<Bytes> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    let announced = announced.and_then(|length| length.parse::<usize>().ok());
    let mut too_large = announced.is_some_and(|length| length > limit);
    let mut chunks = request.into_body().into_data_stream();
    let expected = announced.filter(|length| *length <= limit).unwrap_or_default();
    let mut whole = BytesMut::with_capacity(expected.min(RESERVED));
    let mut seen = 0usize;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            Error::new(ErrorKind::InvalidRequest, "the body broke off").with_source(error)
        })?;
        seen = seen.saturating_add(chunk.len());
        too_large |= seen > limit;
        if !too_large {
            share.grow(chunk.len())?;
            whole.extend_from_slice(&chunk);
        } else if seen > DISCARD_AT_MOST {
            break;
        }
    }
    if too_large {
        let message = format!("the body is larger than the {limit} bytes that are accepted");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(whole.freeze())
}

/// Options of a call that travel as headers.
///
/// # Errors
/// `invalid_request` when a label is not text or there are too many.
pub(super) fn options(headers: &HeaderMap) -> Result<CallOptions> {
    let mut tags = BTreeMap::new();
    for (name, value) in headers {
        let Some(tag) = name.as_str().strip_prefix(header::TAG_PREFIX) else { continue };
        if !(1..=MAX_TAG_NAME_BYTES).contains(&tag.len()) {
            let message = format!("the name of a label has 1 to {MAX_TAG_NAME_BYTES} letters");
            return Err(Error::invalid(header::TAG_PREFIX, message));
        }
        let value = value.to_str().ok().filter(|value| value.len() <= MAX_TAG_BYTES);
        let Some(value) = value.filter(|_| tags.len() < MAX_TAGS) else {
            return Err(Error::invalid(
                name.as_str(),
                format!(
                    "a call carries at most {MAX_TAGS} labels of {MAX_TAG_BYTES} ASCII letters"
                ),
            ));
        };
        tags.insert(tag.to_owned(), value.to_owned());
    }
    let mut options = CallOptions::default();
    options.tags = tags;
    Ok(options)
}

/// What the caller wants to happen to options that cannot be honoured.
///
/// # Errors
/// `invalid_request` for a word that is not known.
pub(super) fn on_unsupported(headers: &HeaderMap) -> Result<OnUnsupported> {
    Ok(on_unsupported_said(headers)?.unwrap_or(OnUnsupported::Fail))
}

/// The same, where the headers say something of it: the native request has a field for it, which
/// counts otherwise.
///
/// # Errors
/// `invalid_request` for a word that is not known.
pub(super) fn on_unsupported_said(headers: &HeaderMap) -> Result<Option<OnUnsupported>> {
    let Some(value) = headers.get(header::ON_UNSUPPORTED) else { return Ok(None) };
    match value.to_str() {
        Ok("fail") => Ok(Some(OnUnsupported::Fail)),
        Ok("warn") => Ok(Some(OnUnsupported::Warn)),
        _ => Err(Error::invalid(header::ON_UNSUPPORTED, "the header must be fail or warn")),
    }
}

/// The options of a call whose body an upstream of the same wire format may get as it is.
pub(super) fn with_original(
    mut options: CallOptions,
    api: &'static str,
    body: Bytes,
    streamed: bool,
) -> CallOptions {
    let headers = Vec::new();
    options.original = Some(Arc::new(Original { api, body: body.into(), headers, streamed }));
    options
}

/// Whether the call shall outlive its connection.
///
/// # Errors
/// `invalid_request` for a word that is not known.
pub(super) fn resumable(headers: &HeaderMap) -> Result<bool> {
    match headers.get(header::RESUMABLE).map(|value| value.as_bytes()) {
        None | Some(b"false") => Ok(false),
        Some(b"true") => Ok(true),
        Some(_) => Err(Error::invalid(header::RESUMABLE, "the header must be true or false")),
    }
}

/// The caller's key for a call that must not run twice.
///
/// # Errors
/// `invalid_request` when it is empty, long or not ASCII.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get(header::IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY_BYTES);
    let wrong = || {
        let message = format!("the key must be 1 to {MAX_KEY_BYTES} ASCII letters");
        Error::invalid(header::IDEMPOTENCY_KEY, message)
    };
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}
