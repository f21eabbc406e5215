//! Connections to one upstream: sends requests, reads whole bodies, names what went wrong.

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Method, header};
use reqwest::{Url, redirect};
use std::{
    fmt,
    future::{Future, poll_fn},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tollgate_types::{CallOptions, Error, ErrorKind, Result, Secret};

use super::{
    HttpOptions, KeyHeader,
    client::{Client, Response},
    pool::{self, Failure},
    tls::{self, Trust},
};
use crate::clock::Patience;
use crate::dialects::upstream_error::decode_error;

/// The largest answer that is read.
const MAX_BODY_BYTES: usize = 64 << 20;
/// As much of an unsuccessful answer as is read.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// When a call has to be over.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::providers) struct Deadline(Option<Instant>);

impl Deadline {
    pub(in crate::providers) fn of(options: &CallOptions) -> Self {
        Self(options.timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// The end of a wait: after this long, or when the call has to be over.
    fn within(self, wait: Duration) -> Instant {
        let now = Instant::now();
        let end = now.checked_add(wait).unwrap_or(now);
        self.0.map_or(end, |deadline| deadline.min(end))
    }
}

/// One request on its way.
#[derive(Clone, Debug, Default)]
pub(in crate::providers) struct Sent {
    /// Path below the base address, with its query.
    pub(in crate::providers) path: String,
    /// The JSON body.
    pub(in crate::providers) body: Vec<u8>,
    /// Headers of this request alone.
    pub(in crate::providers) headers: HeaderMap,
}

/// A pool of connections, and what is sent with every request.
#[derive(Clone)]
pub(in crate::providers) struct Transport {
    name: Arc<str>,
    client: Client,
    /// The provider's key, and as it is sent.
    key: Option<(Secret<String>, HeaderValue)>,
    key_header: KeyHeader,
    headers: HeaderMap,
    idle_timeout: Duration,
    answer_timeout: Duration,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A client for an address of the operator's own, which follows no redirects, and the address.
///
/// # Errors
/// `invalid_request` when it is no address, or the system has no certificates.
pub fn plain_client(address: &str) -> Result<(reqwest::Client, Url)> {
    let invalid = |message: &str| Error::invalid("address", message);
    let url = Url::parse(address).map_err(|_| invalid("this is no address"))?;
    let trust = if url.scheme() == "https" { Trust::System } else { Trust::Nobody };
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::config(trust, false)?)
        .http1_only()
        .connect_timeout(Duration::from_secs(10))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|cause| invalid("no HTTP client can be built").with_source(cause))?;
    Ok((client, url))
}

impl Transport {
    pub(in crate::providers) fn new(options: &HttpOptions) -> Result<Self> {
        let client = Client::new(options)?;
        let key = match &options.api_key {
            Some(key) => Some((key.clone(), options.key_header.write(key)?)),
            None => None,
        };
        Ok(Self {
            name: options.name.as_str().into(),
            client,
            key,
            key_header: options.key_header,
            headers: options.headers.clone(),
            idle_timeout: options.idle_timeout,
            answer_timeout: options.answer_timeout,
        })
    }

    /// Name of the host.
    pub(in crate::providers) fn host(&self) -> &str {
        self.client.host()
    }

    /// Sends a JSON body.
    ///
    /// # Errors
    /// Why there is no good answer.
    pub(in crate::providers) async fn post(
        &self,
        sent: Sent,
        options: &CallOptions,
        deadline: Deadline,
    ) -> Result<Response> {
        let mut headers = self.headers(options.credential.as_ref())?;
        headers.append(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(sent.headers);
        self.send((Method::POST, &sent.path), (headers, sent.body.into()), deadline).await
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// Why there is no good answer.
    pub(in crate::providers) async fn get(&self, path: &str, more: HeaderMap) -> Result<Response> {
        let mut headers = self.headers(None)?;
        headers.extend(more);
        self.send((Method::GET, path), (headers, Bytes::new()), Deadline::default()).await
    }

    /// What is sent with every request.
    fn headers(&self, credential: Option<&Secret<String>>) -> Result<HeaderMap> {
        let mut headers = self.headers.clone();
        let key = match credential {
            Some(credential) => Some(self.key_header.write(credential)?),
            None => self.key.as_ref().map(|(_, written)| written.clone()),
        };
        if let Some(key) = key {
            headers.append(self.key_header.name(), key);
        }
        Ok(headers)
    }

    async fn send(
        &self,
        target: (Method, &str),
        (headers, body): (HeaderMap, Bytes),
        deadline: Deadline,
    ) -> Result<Response> {
        let sending = self.client.send(target, headers, body);
        let sent = self.wait(deadline.within(self.answer_timeout), sending).await?;
        let response = sent.map_err(|cause| self.unreachable(cause))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let end = deadline.within(self.idle_timeout);
        // What came until the connection broke still tells more than nothing.
        let read = self.wait(end, read(response, MAX_ERROR_BYTES)).await;
        let body = read.map(|(_, body)| body).unwrap_or_default();
        Err(self.without_key(decode_error(status, &headers, &body, &self.name)))
    }

    /// The whole body of an answer.
    pub(in crate::providers) async fn whole(
        &self,
        response: Response,
        deadline: Deadline,
    ) -> Result<Vec<u8>> {
        let end = deadline.within(self.answer_timeout);
        match self.wait(end, read(response, MAX_BODY_BYTES)).await? {
            (Ok(()), body) if body.len() <= MAX_BODY_BYTES => Ok(body),
            (Ok(()), _) => Err(self.error(ErrorKind::Protocol, "sent an answer that is too large")),
            (Err(cause), _) => Err(self.interrupted(cause)),
        }
    }

    /// More of a stream's body; `None` at its end. For the first piece the provider may take its
    /// time.
    pub(in crate::providers) fn poll_chunk(
        &self,
        context: &mut Context<'_>,
        response: &mut Response,
        patience: &mut Patience,
        (deadline, is_first): (Deadline, bool),
    ) -> Poll<Result<Option<Bytes>>> {
        let wait = if is_first { self.answer_timeout } else { self.idle_timeout };
        let polled = response.poll_chunk(context);
        let waited = ready!(patience.check(context, polled, || deadline.within(wait)));
        let read = waited.map_err(|_| self.silent());
        Poll::Ready(read.and_then(|read| read.map_err(|cause| self.interrupted(cause))))
    }

    /// No `async fn`: that would have the future twice, as it was given and as it is waited for.
    fn wait<T>(
        &self,
        end: Instant,
        future: impl Future<Output = T>,
    ) -> impl Future<Output = Result<T>> {
        timeout_at(end, future).map(|waited| waited.map_err(|_| self.silent()))
    }

    fn silent(&self) -> Error {
        self.error(ErrorKind::Timeout, "did not answer in time")
    }

    fn unreachable(&self, cause: Failure) -> Error {
        let kind = if cause.is_timeout { ErrorKind::Timeout } else { ErrorKind::Connection };
        self.error(kind, "cannot be reached").with_source(cause)
    }

    fn interrupted(&self, cause: Failure) -> Error {
        self.error(ErrorKind::StreamInterrupted, "broke off its answer").with_source(cause)
    }

    /// An error that this provider is to blame for.
    pub(in crate::providers) fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("{} {what}", self.name))
            .with(|body| body.provider = Some(self.name.as_ref().to_owned()))
    }

    /// The provider's name.
    pub(in crate::providers) fn name(&self) -> &str {
        &self.name
    }

    /// A provider may repeat the key that it was given, even in a good answer.
    pub(in crate::providers) fn text_without_key(&self, text: String) -> String {
        match self.key.as_ref().map(|(key, _)| key.expose()).filter(|key| !key.is_empty()) {
            Some(key) if text.contains(key.as_str()) => text.replace(key.as_str(), "***"),
            _ => text,
        }
    }

    /// A provider may repeat the key that it was given.
    pub(in crate::providers) fn without_key(&self, error: Error) -> Error {
        error.with(|body| {
            let said = [Some(&mut body.message), body.code.as_mut(), body.param.as_mut()];
            for text in said.into_iter().flatten() {
                *text = self.text_without_key(std::mem::take(text));
            }
        })
    }
}

/// Whether an answer that should be a stream is a whole document.
pub(in crate::providers) fn is_whole(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json") || kind.eq_ignore_ascii_case("text/html")
    })
}

/// Reads a body up to a limit and a little more, and tells whether it ended well.
async fn read(mut response: Response, limit: usize) -> (pool::Result<()>, Vec<u8>) {
    let mut body = Vec::new();
    while body.len() <= limit {
        match poll_fn(|context| response.poll_chunk(context)).await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => break,
            Err(cause) => return (Err(cause), body),
        }
    }
    (Ok(()), body)
}
