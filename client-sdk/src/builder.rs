//! How a [`RemoteProvider`] is put together.

#[cfg(feature = "grpc")]
use crate::grpc::{self, GrpcTransport};
use crate::{
    RemoteProvider, RetryPolicy, address,
    authorized::Authorized,
    call::Timeouts,
    credentials::Credentials,
    headers,
    http::HttpTransport,
    remote::Inner,
    tls::{self, Trust},
    token::{TokenSource, Tokens},
    transport::{Transport, TransportKind},
};
use reqwest::{
    Client, ClientBuilder, Proxy, Url,
    header::{HeaderMap, HeaderValue},
    redirect,
};
use rustls::ClientConfig;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tollgate_types::{Error, Result, Secret};

/// What this client calls itself, after what the application calls itself.
const USER_AGENT: &str = concat!("tollgate-client/", env!("CARGO_PKG_VERSION"));

/// Collects what a [`RemoteProvider`] needs; only [`server`](Self::server) and
/// [`api_key`](Self::api_key) have no default.
#[derive(Clone)]
pub struct Builder {
    server: String,
    api_key: Secret<String>,
    exchange_token: bool,
    token_source: Option<Arc<dyn TokenSource>>,
    name: String,
    model: Option<String>,
    tags: BTreeMap<String, String>,
    retry: RetryPolicy,
    connect_timeout: Duration,
    idle_timeout: Duration,
    total_timeout: Duration,
    resumable: bool,
    transport: TransportKind,
    #[cfg(feature = "grpc")]
    grpc_server: Option<String>,
    network: Network,
}

/// What an HTTP client of the builder's own is made of.
#[derive(Clone, Default)]
struct Network {
    ca_bundle: Option<Vec<u8>>,
    client_certificate: Option<Secret<Vec<u8>>>,
    way: Way,
    user_agent: Option<String>,
    http_client: Option<Client>,
}

/// Through which proxy a server is reached.
#[derive(Clone, Default)]
enum Way {
    /// The one that the environment names for the address, if it names one.
    #[default]
    Environment,
    Direct,
    /// Its address may hold a password.
    Through(Secret<String>),
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            server: String::new(),
            api_key: "".into(),
            exchange_token: false,
            token_source: None,
            name: "tollgate".to_owned(),
            model: None,
            tags: BTreeMap::new(),
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            total_timeout: Duration::from_secs(600),
            resumable: false,
            transport: TransportKind::default(),
            #[cfg(feature = "grpc")]
            grpc_server: None,
            network: Network::default(),
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

    /// Whether the key is exchanged for short-lived tokens, so that it is itself sent rarely: once
    /// every few minutes instead of with every call. Default no, because the first call then waits
    /// for two answers instead of one. Where the server gives no tokens, the key is used.
    #[must_use]
    pub fn exchange_token(mut self, exchange: bool) -> Self {
        self.exchange_token = exchange;
        self
    }

    /// Takes the tokens that calls are made with from here, in the place of an API key.
    #[must_use]
    pub fn token_source(mut self, source: impl TokenSource) -> Self {
        self.token_source = Some(Arc::new(source));
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

    /// How often a failed call is tried again, with the waits of the policy. Default 2.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.retry.max_retries = retries;
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

    /// How the server is reached. Default HTTP.
    #[must_use]
    pub fn transport(mut self, kind: TransportKind) -> Self {
        self.transport = kind;
        self
    }

    /// Address of the server's gRPC listener, for example `http://127.0.0.1:8788`. Without it, that
    /// of the server: something in front of it may tell gRPC from the rest.
    #[cfg(feature = "grpc")]
    #[must_use]
    pub fn grpc_server(mut self, url: impl Into<String>) -> Self {
        self.grpc_server = Some(url.into());
        self
    }

    /// Trusts these certificates (PEM) instead of the system's.
    #[must_use]
    pub fn ca_bundle(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.network.ca_bundle = Some(pem.into());
        self
    }

    /// Shows this certificate to servers that ask for one (mutual TLS): PEM of the certificate, of
    /// those between it and its CA, and of its key, one after another.
    #[must_use]
    pub fn client_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.network.client_certificate = Some(Secret::new(pem.into()));
        self
    }

    /// Reaches the server through this HTTP proxy, `http://[user:password@]host:port`, whatever the
    /// environment says. Without it `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.network.way = Way::Through(Secret::new(url.into()));
        self
    }

    /// Reaches the server directly, whatever proxy the environment names.
    #[must_use]
    pub fn no_proxy(mut self) -> Self {
        self.network.way = Way::Direct;
        self
    }

    /// What the application calls itself, for example `my-agent/1.2`: sent as `user-agent`, before
    /// this client's own name.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.network.user_agent = Some(name.into());
        self
    }

    /// Sends through this client, with its own connect timeout, TLS, proxies, redirects and user
    /// agent. It should have no total timeout: that would cut long streams. Over WebSocket it has to
    /// be built with `http1_only`; over gRPC, which needs a client for each of two listeners, it is
    /// refused.
    #[must_use]
    pub fn http_client(mut self, client: Client) -> Self {
        self.network.http_client = Some(client);
        self
    }

    /// Builds the provider. No connection is opened yet.
    ///
    /// # Errors
    /// `invalid_request` when the address, the key, a tag, a certificate, the proxy or the user
    /// agent is missing or unusable, when the system's certificates are needed and cannot be read,
    /// or when an `http_client` is given together with what it would have to bring itself.
    pub fn build(self) -> Result<RemoteProvider> {
        let server = address::parse(&self.server)?;
        let key = match &self.token_source {
            Some(_) if !self.api_key.expose().is_empty() => {
                let message = "a token_source takes the place of an API key: give one of them";
                return Err(Error::invalid("token_source", message));
            }
            Some(_) => None,
            None => Some(headers::bearer(&self.api_key)?),
        };
        let mut tags = HeaderMap::new();
        headers::add_tags(&mut tags, &self.tags)?;
        let bare = self.way(&server)?;
        let credentials = Arc::new(match (key, self.token_source) {
            (Some(key), _) if self.exchange_token => Credentials::exchanged(key, Arc::clone(&bare)),
            (Some(key), _) => Credentials::Key(key),
            (None, Some(source)) => Credentials::Source(Tokens::new(source)),
            (None, None) => return Err(Error::invalid("api_key", "there is no API key")),
        });
        let transport = Arc::clone(&bare);
        Ok(RemoteProvider::of(Inner {
            transport: Arc::new(Authorized { transport, credentials: Arc::clone(&credentials) }),
            bare,
            server,
            credentials,
            tags,
            name: self.name,
            model: self.model,
            retry: self.retry,
            resumable: self.resumable,
            timeouts: Timeouts { call: None, total: self.total_timeout, idle: self.idle_timeout },
        }))
    }

    /// The way to the server.
    fn way(&self, server: &Url) -> Result<Arc<dyn Transport>> {
        let client = self.client(server, |client, tls| client.tls_backend_preconfigured(tls))?;
        let http = HttpTransport { client, server: server.clone() };
        match self.transport {
            TransportKind::Http => Ok(Arc::new(http)),
            #[cfg(feature = "websocket")]
            TransportKind::WebSocket => {
                Ok(Arc::new(crate::websocket::SocketTransport::new(http, self.idle_timeout)))
            }
            #[cfg(feature = "grpc")]
            TransportKind::Grpc => {
                if self.network.http_client.is_some() {
                    let message = "an http_client speaks HTTP/1.1 or HTTP/2, and gRPC needs one of each: \
                                   give the certificates and proxies to the builder instead";
                    return Err(Error::invalid("http_client", message));
                }
                let named = self.grpc_server.as_deref().map(address::parse).transpose();
                let server = named
                    .map_err(|error| error.with(|body| body.param = Some("grpc_server".into())))?
                    .unwrap_or_else(|| server.clone());
                let idle = self.idle_timeout;
                let client =
                    self.client(&server, |client, tls| grpc::configure(client, tls, idle))?;
                Ok(Arc::new(GrpcTransport { client, server, http }))
            }
        }
    }

    fn client(
        &self,
        server: &Url,
        configure: impl FnOnce(ClientBuilder, ClientConfig) -> ClientBuilder,
    ) -> Result<Client> {
        match &self.network.http_client {
            Some(client) => self.network.check_alone().map(|()| client.clone()),
            None => self.own_client(server, configure),
        }
    }

    /// Redirects are not followed: an API that moved is a wrong setting, and the key shall not
    /// travel on.
    fn own_client(
        &self,
        server: &Url,
        configure: impl FnOnce(ClientBuilder, ClientConfig) -> ClientBuilder,
    ) -> Result<Client> {
        let network = &self.network;
        let trust = match &network.ca_bundle {
            Some(pem) => Trust::Bundle(pem),
            None if server.scheme() == "https" => Trust::System,
            None => Trust::Nobody,
        };
        let identity = network.client_certificate.as_ref().map(|pem| pem.expose().as_slice());
        let client = configure(Client::builder(), tls::config(trust, identity)?)
            .connect_timeout(self.connect_timeout)
            .redirect(redirect::Policy::none())
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(60))
            .user_agent(network.agent()?);
        // Only an HTTP/1.1 connection can become a WebSocket.
        #[cfg(feature = "websocket")]
        let client = match self.transport {
            TransportKind::WebSocket => client.http1_only(),
            _ => client,
        };
        let client = match &network.way {
            Way::Environment => client,
            Way::Direct => client.no_proxy(),
            Way::Through(url) => client.proxy(proxy(url)?),
        };
        client.build().map_err(|error| {
            Error::invalid("http_client", "no HTTP client can be built").with_source(error)
        })
    }
}

impl Network {
    /// A client that the application brings can be given nothing of this any more.
    fn check_alone(&self) -> Result<()> {
        let given = [
            ("ca_bundle", self.ca_bundle.is_some()),
            ("client_certificate", self.client_certificate.is_some()),
            ("proxy", !matches!(self.way, Way::Environment)),
            ("user_agent", self.user_agent.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((param, _)) => {
                Err(Error::invalid(param, format!("an http_client brings its own {param}")))
            }
        }
    }

    fn agent(&self) -> Result<HeaderValue> {
        let Some(name) = &self.user_agent else { return Ok(HeaderValue::from_static(USER_AGENT)) };
        HeaderValue::from_str(&format!("{name} {USER_AGENT}")).map_err(|_| {
            Error::invalid("user_agent", format!("the user agent {name:?} does not fit a header"))
        })
    }
}

/// The text is not quoted in an error: it may hold a password.
fn proxy(url: &Secret<String>) -> Result<Proxy> {
    let refused =
        || Error::invalid("proxy", "the proxy's URL must be like http://proxy.example:3128");
    let parsed = Url::parse(url.expose()).map_err(|_| refused())?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(refused());
    }
    Proxy::all(url.expose().as_str()).map_err(|_| refused())
}

/// Neither keys nor addresses are shown: until they are checked, they may hold a password.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("model", &self.model)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
