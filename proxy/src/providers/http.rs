//! What every upstream that is reached over HTTP shares: connections, deadlines, and the way from
//! an answer's bytes to events.
//!
//! Never retries: whether and where to try again is decided above. Dropping a future or a stream
//! closes the connection, which stops the upstream.

mod answer;
mod client;
mod lines;
pub mod payloads;
mod pool;
mod tls;
mod transport;

pub(super) use lines::AnswerLines;
pub use transport::plain_client;
pub(super) use transport::{Deadline, Sent, Transport};

use crate::dialects::stream::Decoder;
use answer::Answer;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::{borrow::Cow, fmt, time::Duration};
use tollgate_types::{
    CallOptions, EmbedResponse, Error, ErrorKind, EventStream, GenerateResponse, Original, Result,
    Secret, StreamEvent, Warning, events_of,
};

/// How a host is reached.
#[derive(Clone)]
pub struct HttpOptions {
    /// The provider's name, in errors and in [`tollgate_types::Origin::provider`].
    pub name: String,
    /// Address of the API without the last path segment: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The provider's key; local hosts need none.
    pub api_key: Option<Secret<String>>,
    /// Where the key goes.
    pub key_header: KeyHeader,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest silence within a stream.
    pub idle_timeout: Duration,
    /// Longest wait for the first byte of a stream, or for a whole answer: a reasoning model can
    /// think for minutes before it says anything.
    pub answer_timeout: Duration,
    /// Sent with every request (`openai-organization` ...).
    pub headers: HeaderMap,
    /// Speak HTTP/2: by agreement over TLS, always without TLS.
    pub http2: bool,
}

impl HttpOptions {
    /// A host at an address, with the usual patience.
    pub fn new(name: impl Into<String>, base_url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base_url: base_url.into(),
            api_key: None,
            key_header: KeyHeader::Bearer,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(600),
            headers: HeaderMap::new(),
            http2: false,
        }
    }

    /// The same host, with an API's usual path where the address names only the host: that is what
    /// the vendors' own clients take.
    #[must_use]
    pub(super) fn with_usual_path(&self, path: &str) -> Self {
        let bare = reqwest::Url::parse(&self.base_url).is_ok_and(|url| url.path() == "/");
        let base_url = if bare {
            format!("{}{path}", self.base_url.trim_end_matches('/'))
        } else {
            self.base_url.clone()
        };
        Self { base_url, ..self.clone() }
    }
}

/// Headers are left out: they may hold a key.
impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("name", &self.name)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// The header that carries a provider's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`: OpenAI and the hosts compatible with it, Ollama's cloud.
    #[default]
    Bearer,
    /// `x-api-key: KEY`: Anthropic.
    XApiKey,
    /// `x-goog-api-key: KEY`: Google.
    XGoogApiKey,
    /// `api-key: KEY`: Azure.
    ApiKey,
}

impl KeyHeader {
    fn name(self) -> HeaderName {
        match self {
            Self::Bearer => header::AUTHORIZATION,
            Self::XApiKey => HeaderName::from_static("x-api-key"),
            Self::XGoogApiKey => HeaderName::from_static("x-goog-api-key"),
            Self::ApiKey => HeaderName::from_static("api-key"),
        }
    }

    fn write(self, key: &Secret<String>) -> Result<HeaderValue> {
        let text = match self {
            Self::Bearer => format!("Bearer {}", key.expose()),
            _ => key.expose().clone(),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            let message = "the provider's key holds characters that no header can carry";
            Error::invalid("api_key", message)
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// How an upstream writes its answers.
pub(super) trait Wire: 'static {
    /// Reads its streams.
    type Decoder: Decoder;

    /// How its streams are cut into payloads.
    const FRAMING: Framing;

    /// A decoder for one stream of the provider.
    fn decoder(provider: &str) -> Self::Decoder;

    /// Reads a whole answer.
    ///
    /// # Errors
    /// `protocol` when it is none; the provider's error when it carries one.
    fn reply(body: &[u8], provider: &str) -> Result<GenerateResponse>;

    /// The same for an answer that is passed on: extras may be missing, because the body has them.
    ///
    /// # Errors
    /// As [`Wire::reply`].
    fn told_reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
        Self::reply(body, provider)
    }

    /// A payload or whole answer that is passed on, mended where no client could use it: made anew,
    /// or all of it as it is.
    fn mend(payload: &str) -> Cow<'_, str> {
        Cow::Borrowed(payload)
    }
}

/// How a stream is cut into payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// A JSON document a line.
    Lines,
}

/// A call that is ready to be sent.
#[derive(Debug, Default)]
pub(super) struct Ask {
    /// The request.
    pub(super) sent: Sent,
    /// What is not honoured as asked.
    pub(super) warnings: Vec<Warning>,
    /// The caller speaks the upstream's own wire format, and gets the answer as it comes, if it
    /// comes as it was asked for: streamed or whole.
    pub(super) verbatim: bool,
}

impl Transport {
    /// Asks a model. The events of an answer that comes whole are made at once.
    ///
    /// # Errors
    /// Whatever went wrong before the first event.
    pub(super) async fn open<W: Wire>(
        &self,
        ask: Ask,
        options: &CallOptions,
    ) -> Result<EventStream> {
        let deadline = Deadline::of(options);
        let response = self.post(ask.sent, options, deadline).await?;
        // A caller who asked for a stream cannot read a whole answer, and the other way round.
        let streamed = options.original.as_deref().is_some_and(|original| original.streamed);
        if !transport::is_whole(&response) {
            let verbatim = ask.verbatim && streamed;
            let answer = Answer::<W>::new(self, response, deadline, verbatim);
            return answer.into_events(ask.warnings).await;
        }
        let body = self.whole(response, deadline).await?;
        let told = ask.verbatim && !streamed;
        let read = if told { W::told_reply } else { W::reply };
        let mut answer = read(&body, self.name()).map_err(|error| self.without_key(error))?;
        answer.warnings.extend(ask.warnings);
        let body = told.then(|| self.passed_on::<W>(body));
        Ok(EventStream::of_events(body.into_iter().chain(events_of(answer)).collect()))
    }

    /// A whole answer as it is passed on.
    fn passed_on<W: Wire>(&self, body: Vec<u8>) -> StreamEvent {
        let text = String::from_utf8(body)
            .unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned());
        StreamEvent::Verbatim { data: self.told::<W>(text), closing: true }
    }

    /// What the provider wrote, as a client may see it.
    fn told<W: Wire>(&self, text: String) -> String {
        let mended = match W::mend(&text) {
            Cow::Owned(mended) => Some(mended),
            Cow::Borrowed(_) => None,
        };
        self.text_without_key(mended.unwrap_or(text))
    }

    /// One vector belongs to each text.
    ///
    /// # Errors
    /// `protocol` when the provider sent more or fewer.
    pub(super) fn check_count(&self, texts: &[String], answer: &EmbedResponse) -> Result<()> {
        let (asked, came) = (texts.len(), answer.vectors.len());
        if asked == came {
            return Ok(());
        }
        Err(self.error(ErrorKind::Protocol, &format!("sent {came} vectors for {asked} texts")))
    }

    /// As [`Transport::open`], folded.
    ///
    /// # Errors
    /// Whatever went wrong.
    pub(super) async fn ask<W: Wire>(
        &self,
        ask: Ask,
        options: &CallOptions,
    ) -> Result<GenerateResponse> {
        self.open::<W>(ask, options).await?.collect().await
    }
}

/// The client's own body, if it speaks this wire format.
pub(super) fn original_of<'a>(options: &'a CallOptions, api: &str) -> Option<&'a Original> {
    options.original.as_deref().filter(|original| original.api == api)
}

/// The client's headers that belong to the wire format.
pub(super) fn headers_of(original: &Original) -> HeaderMap {
    let pairs = original.headers.iter();
    pairs
        .filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
        })
        .collect()
}
