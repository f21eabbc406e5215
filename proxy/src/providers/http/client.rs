//! The way to a host: a pool of HTTP/1 connections of our own, or reqwest for what is rare.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Url, redirect};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tollgate_types::{Error, Result};

use super::{
    HttpOptions,
    pool::{Answering, Failure, Pool, poll_bytes},
    tls::{self, Trust},
};

/// How the gateway names itself.
const USER_AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));

/// Connections to one host.
#[derive(Clone)]
pub(super) enum Client {
    /// Straight to the host over HTTP/1.
    Pool(Arc<Pool>, Arc<Place>),
    /// HTTP/2, or by way of a proxy that the environment names.
    Reqwest(reqwest::Client, Url),
}

/// Where the host's API is.
pub(super) struct Place {
    base: Url,
    /// Path of the API, without a slash at its end.
    path: String,
    host: http::HeaderValue,
}

impl Client {
    /// Prepares connections; none is opened yet.
    ///
    /// # Errors
    /// `invalid_request` for an address that cannot be reached, or where the system has no
    /// certificates.
    pub(super) fn new(options: &HttpOptions) -> Result<Self> {
        let invalid = |message: &str| Error::invalid("base_url", message);
        let base = Url::parse(&options.base_url)
            .map_err(|cause| invalid("base_url is no URL").with_source(cause))?;
        let trust = match base.scheme() {
            "https" => Trust::System,
            "http" => Trust::Nobody,
            _ => return Err(invalid("base_url must begin with https:// or http://")),
        };
        if !options.http2
            && let Some(straight) = straight(&base, trust, options.connect_timeout)?
        {
            return Ok(straight);
        }
        let client = roundabout(options, trust)?;
        Ok(Self::Reqwest(client, base))
    }

    /// Name of the host.
    pub(super) fn host(&self) -> &str {
        let base = match self {
            Self::Pool(_, place) => &place.base,
            Self::Reqwest(_, base) => base,
        };
        base.host_str().unwrap_or_default()
    }

    /// Sends a request to a path below the base address, which may end with a query.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn send(
        &self,
        (method, path): (Method, &str),
        headers: HeaderMap,
        body: Bytes,
    ) -> std::result::Result<Response, Failure> {
        match self {
            Self::Pool(pool, place) => {
                let mut request = Request::new(body);
                *request.method_mut() = method;
                *request.uri_mut() = place.uri_of(path).map_err(Failure::of)?;
                *request.headers_mut() = headers;
                let headers = request.headers_mut();
                headers.entry(header::HOST).or_insert_with(|| place.host.clone());
                let any = || http::HeaderValue::from_static("*/*");
                headers.entry(header::ACCEPT).or_insert_with(any);
                let agent = || http::HeaderValue::from_static(USER_AGENT);
                headers.entry(header::USER_AGENT).or_insert_with(agent);
                pool.send(request).await.map(Response::Pool)
            }
            Self::Reqwest(client, base) => {
                let request = client.request(method, url_of(base, path)).headers(headers);
                let answer = request.body(body).send().await.map_err(of_reqwest)?;
                Ok(Response::Reqwest(answer.into()))
            }
        }
    }
}

/// The pool, if nothing stands between this machine and the host.
fn straight(base: &Url, trust: Trust, patience: Duration) -> Result<Option<Client>> {
    let Ok(uri) = base.as_str().parse::<Uri>() else { return Ok(None) };
    let has_login = !base.username().is_empty() || base.password().is_some();
    if has_login || Matcher::from_system().intercept(&uri).is_some() {
        return Ok(None);
    }
    let Some(host) = base.host_str() else { return Ok(None) };
    let host = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let Ok(host) = http::HeaderValue::try_from(host) else { return Ok(None) };
    let tls = match trust {
        Trust::System => Some(tls::config(trust, false)?),
        Trust::Nobody => None,
    };
    let path = base.path().trim_end_matches('/').to_owned();
    let place = Arc::new(Place { base: base.clone(), path, host });
    Ok(Pool::new(uri, tls, patience).map(|pool| Client::Pool(Arc::new(pool), place)))
}

fn roundabout(options: &HttpOptions, trust: Trust) -> Result<reqwest::Client> {
    let client =
        reqwest::Client::builder().tls_backend_preconfigured(tls::config(trust, options.http2)?);
    // HTTP/1.1 unless asked for: over one HTTP/2 connection calls queue behind its stream limit.
    let client = match (options.http2, trust) {
        (false, _) => client.http1_only(),
        (true, Trust::Nobody) => client.http2_prior_knowledge(),
        (true, Trust::System) => client,
    };
    client
        .connect_timeout(options.connect_timeout)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(60))
        .user_agent(USER_AGENT)
        .build()
        .map_err(|cause| {
            Error::invalid("base_url", "no HTTP client can be built").with_source(cause)
        })
}

impl Place {
    fn uri_of(&self, path: &str) -> std::result::Result<Uri, http::uri::InvalidUri> {
        if is_plain(path) {
            return format!("{}/{path}", self.path).try_into();
        }
        let url = url_of(&self.base, path);
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", url.path()).try_into()
    }
}

/// Whether a path stands in an address as it is.
fn is_plain(path: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    path.bytes().all(letters)
}

/// `path` may end with a query.
fn url_of(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    if query.is_some() {
        url.set_query(query);
    }
    url
}

fn of_reqwest(cause: reqwest::Error) -> Failure {
    let is_timeout = cause.is_timeout();
    let mut failure = Failure::of(cause.without_url());
    failure.is_timeout |= is_timeout;
    failure
}

/// An answer whose head has come. Dropping it closes the connection.
pub(in crate::providers) enum Response {
    /// From the pool.
    Pool(Answering),
    /// From reqwest.
    Reqwest(http::Response<reqwest::Body>),
}

impl Response {
    /// Its status.
    pub(in crate::providers) fn status(&self) -> StatusCode {
        match self {
            Self::Pool(answer) => answer.head.status,
            Self::Reqwest(answer) => answer.status(),
        }
    }

    /// Its headers.
    pub(in crate::providers) fn headers(&self) -> &HeaderMap {
        match self {
            Self::Pool(answer) => &answer.head.headers,
            Self::Reqwest(answer) => answer.headers(),
        }
    }

    /// Lets go of the headers: they keep the whole buffer in which they came, as long as a stream lasts.
    pub(super) fn forget_headers(&mut self) {
        match self {
            Self::Pool(answer) => answer.head.headers = HeaderMap::new(),
            Self::Reqwest(answer) => *answer.headers_mut() = HeaderMap::new(),
        }
    }

    /// More of its body; `None` at its end.
    ///
    /// # Errors
    /// When the connection broke.
    pub(super) fn poll_chunk(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<std::result::Result<Option<Bytes>, Failure>> {
        match self {
            Self::Pool(answer) => answer.poll_chunk(context),
            Self::Reqwest(answer) => poll_bytes(answer.body_mut(), context)
                .map(|item| item.transpose().map_err(of_reqwest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reaches_the_host_as_an_address_spells_it() {
        let base = Url::parse("http://localhost:1/v1/").unwrap();
        let (path, host) = ("/v1".to_owned(), http::HeaderValue::from_static("localhost:1"));
        let place = Place { base, path, host };
        for (path, sent) in [
            ("chat/completions", "/v1/chat/completions"),
            (
                "models/gemini-2.5-pro:streamGenerateContent?alt=sse",
                "/v1/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
            ),
            ("models/a b\u{e9}", "/v1/models/a%20b%C3%A9"),
            ("models/../secret", "/v1/secret"),
        ] {
            assert_eq!(place.uri_of(path).unwrap().to_string(), sent);
            let url = url_of(&place.base, path);
            assert_eq!(url.as_str(), format!("http://localhost:1{sent}"));
        }
    }
}
