//! Connections to one upstream: sends requests, reads whole bodies, names what went wrong.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use reqwest::{Client, Method, Response, Url, redirect};
use std::{fmt, future::Future, time::Duration};
use tokio::time::{Instant, timeout_at};
use tollgate_types::{CallOptions, Error, ErrorKind, Result, Secret};

use super::{
    HttpOptions, KeyHeader,
    tls::{self, Trust},
};
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
    name: String,
    client: Client,
    base: Url,
    key: Option<Secret<String>>,
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
pub fn plain_client(address: &str) -> Result<(Client, Url)> {
    let invalid = |message: &str| Error::invalid("address", message);
    let url = Url::parse(address).map_err(|_| invalid("this is no address"))?;
    let trust = if url.scheme() == "https" { Trust::System } else { Trust::Nobody };
    let client = Client::builder()
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
        let invalid = |message: &str| Error::invalid("base_url", message);
        let base = Url::parse(&options.base_url)
            .map_err(|cause| invalid("base_url is no URL").with_source(cause))?;
        let trust = match base.scheme() {
            "https" => Trust::System,
            "http" => Trust::Nobody,
            _ => return Err(invalid("base_url must begin with https:// or http://")),
        };
        let client =
            Client::builder().tls_backend_preconfigured(tls::config(trust, options.http2)?);
        // HTTP/1.1 unless asked for: over one HTTP/2 connection calls queue behind its stream limit.
        let client = match (options.http2, trust) {
            (false, _) => client.http1_only(),
            (true, Trust::Nobody) => client.http2_prior_knowledge(),
            (true, Trust::System) => client,
        };
        let client = client
            .connect_timeout(options.connect_timeout)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(60))
            .user_agent(concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|cause| invalid("no HTTP client can be built").with_source(cause))?;
        if let Some(key) = &options.api_key {
            options.key_header.write(key)?;
        }
        Ok(Self {
            name: options.name.clone(),
            client,
            base,
            key: options.api_key.clone(),
            key_header: options.key_header,
            headers: options.headers.clone(),
            idle_timeout: options.idle_timeout,
            answer_timeout: options.answer_timeout,
        })
    }

    /// Name of the host.
    pub(in crate::providers) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
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
        let request = self.request(Method::POST, &sent.path, options.credential.as_ref())?;
        let json = HeaderValue::from_static("application/json");
        let request = request.header(header::CONTENT_TYPE, json).headers(sent.headers);
        self.send(request.body(sent.body), deadline).await
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// Why there is no good answer.
    pub(in crate::providers) async fn get(
        &self,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Response> {
        let request = self.request(Method::GET, path, None)?.headers(headers);
        self.send(request, Deadline::default()).await
    }

    /// `path` may end with a query.
    fn request(
        &self,
        method: Method,
        path: &str,
        credential: Option<&Secret<String>>,
    ) -> Result<reqwest::RequestBuilder> {
        let mut url = self.base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        if query.is_some() {
            url.set_query(query);
        }
        let mut request = self.client.request(method, url).headers(self.headers.clone());
        if let Some(key) = credential.or(self.key.as_ref()) {
            request = request.header(self.key_header.name(), self.key_header.write(key)?);
        }
        Ok(request)
    }

    async fn send(&self, request: reqwest::RequestBuilder, deadline: Deadline) -> Result<Response> {
        let sent = self.wait(deadline.within(self.answer_timeout), request.send()).await?;
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

    /// More of a stream's body; `None` at its end.
    pub(in crate::providers) async fn chunk(
        &self,
        response: &mut Response,
        deadline: Deadline,
    ) -> Result<Option<Bytes>> {
        let end = deadline.within(self.idle_timeout);
        self.wait(end, response.chunk()).await?.map_err(|cause| self.interrupted(cause))
    }

    /// The first piece of a stream's body, for which the provider may take its time.
    pub(in crate::providers) async fn first_chunk(
        &self,
        response: &mut Response,
        deadline: Deadline,
    ) -> Result<Option<Bytes>> {
        let end = deadline.within(self.answer_timeout);
        self.wait(end, response.chunk()).await?.map_err(|cause| self.interrupted(cause))
    }

    async fn wait<T>(&self, end: Instant, future: impl Future<Output = T>) -> Result<T> {
        let silent = |_| self.error(ErrorKind::Timeout, "did not answer in time");
        timeout_at(end, future).await.map_err(silent)
    }

    fn unreachable(&self, cause: reqwest::Error) -> Error {
        let kind = if cause.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Connection };
        self.error(kind, "cannot be reached").with_source(cause.without_url())
    }

    fn interrupted(&self, cause: reqwest::Error) -> Error {
        self.error(ErrorKind::StreamInterrupted, "broke off its answer")
            .with_source(cause.without_url())
    }

    /// An error that this provider is to blame for.
    pub(in crate::providers) fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("{} {what}", self.name))
            .with(|body| body.provider = Some(self.name.clone()))
    }

    /// The provider's name.
    pub(in crate::providers) fn name(&self) -> &str {
        &self.name
    }

    /// A provider may repeat the key that it was given, even in a good answer.
    pub(in crate::providers) fn text_without_key(&self, text: String) -> String {
        match self.key.as_ref().map(Secret::expose).filter(|key| !key.is_empty()) {
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
async fn read(mut response: Response, limit: usize) -> (reqwest::Result<()>, Vec<u8>) {
    let mut body = Vec::new();
    while body.len() <= limit {
        match response.chunk().await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => break,
            Err(cause) => return (Err(cause), body),
        }
    }
    (Ok(()), body)
}
