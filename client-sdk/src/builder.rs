//! How a [`RemoteProvider`] is put together.

use crate::{
    RemoteProvider, RetryPolicy, address,
    call::Timeouts,
    headers,
    http::HttpTransport,
    remote::Inner,
    tls::{self, Trust},
};
use reqwest::{Client, Url, header::HeaderMap, redirect};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tollgate_types::{Error, Result, Secret};

/// Collects what a [`RemoteProvider`] needs; only [`server`](Self::server) and
/// [`api_key`](Self::api_key) have no default.
#[derive(Clone)]
pub struct Builder {
    server: String,
    api_key: Secret<String>,
    name: String,
    model: Option<String>,
    tags: BTreeMap<String, String>,
    retry: RetryPolicy,
    connect_timeout: Duration,
    idle_timeout: Duration,
    total_timeout: Duration,
    resumable: bool,
    ca_bundle: Option<Vec<u8>>,
    http_client: Option<Client>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            server: String::new(),
            api_key: "".into(),
            name: "tollgate".to_owned(),
            model: None,
            tags: BTreeMap::new(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            total_timeout: Duration::from_secs(600),
            resumable: false,
            ca_bundle: None,
            http_client: None,
        }
    }
}

impl Builder {
    /// Address of the server, for example `https://tollgate.example.com`.
    #[must_use]
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.server = url.into();
        self
    }

    /// The key that calls are made with, unless a call brings its own.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Secret::new(key.into());
        self
    }

    /// The model of requests that name none.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// The provider's name in logs. Default `tollgate`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds a label for metering to every call. A call's own tag of the same name wins.
    #[must_use]
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// How failed calls are tried again.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How long a connection may take to open. Default 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long an open stream may be silent. Default 60 s; the server pings every 15 s.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// How long a call may take, retries included, until its whole answer is here or its stream
    /// begins. Default 600 s. A stream that has begun may run as long as it is not silent. A call's
    /// own timeout replaces this one and covers the whole stream.
    #[must_use]
    pub fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = limit;
        self
    }

    /// Whether calls outlive a connection that breaks, unless a call says otherwise. Default no: a
    /// broken connection then cancels the call at the server.
    #[must_use]
    pub fn resumable(mut self, resumable: bool) -> Self {
        self.resumable = resumable;
        self
    }

    /// Trusts these certificates (PEM) instead of the system's.
    #[must_use]
    pub fn ca_bundle(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_bundle = Some(pem.into());
        self
    }

    /// Sends through this client, with its own connect timeout, TLS, proxies and redirects. It
    /// should have no total timeout: that would cut long streams.
    #[must_use]
    pub fn http_client(mut self, client: Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Builds the provider. No connection is opened yet.
    ///
    /// # Errors
    /// `invalid_request` when the address, the key, a tag or the CA bundle is missing or unusable,
    /// or when the system's certificates are needed and cannot be read.
    pub fn build(self) -> Result<RemoteProvider> {
        let server = address::parse(&self.server)?;
        let authorization = headers::bearer(&self.api_key)?;
        let mut tags = HeaderMap::new();
        headers::add_tags(&mut tags, &self.tags)?;
        let http = match self.http_client.clone() {
            None => self.own_client(&server)?,
            Some(client) if self.ca_bundle.is_none() => client,
            Some(_) => {
                let message = "an http_client brings its own certificates";
                return Err(Error::invalid("ca_bundle", message));
            }
        };
        Ok(RemoteProvider::of(Inner {
            transport: Arc::new(HttpTransport { client: http, server: server.clone() }),
            server,
            authorization,
            tags,
            name: self.name,
            model: self.model,
            retry: self.retry,
            resumable: self.resumable,
            timeouts: Timeouts { call: None, total: self.total_timeout, idle: self.idle_timeout },
        }))
    }

    /// Redirects are not followed: an API that moved is a wrong setting, and the key shall not
    /// travel on.
    fn own_client(&self, server: &Url) -> Result<Client> {
        let trust = match &self.ca_bundle {
            Some(pem) => Trust::Bundle(pem),
            None if server.scheme() == "https" => Trust::System,
            None => Trust::Nobody,
        };
        Client::builder()
            .tls_backend_preconfigured(tls::config(trust)?)
            .connect_timeout(self.connect_timeout)
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(60))
            .user_agent(concat!("tollgate-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Error::invalid("http_client", "no HTTP client can be built").with_source(error)
            })
    }
}

/// Neither the key nor the address is shown: until it is checked, it may hold a password.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("model", &self.model)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
