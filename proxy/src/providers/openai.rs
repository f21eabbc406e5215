//! OpenAI, and every host that speaks its chat completions, as a provider.
//!
//! Never retries: whether and where to try again is decided above. Dropping a future or a stream
//! closes the connection, which stops the upstream.

mod answer;
mod tls;
mod transport;

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderMap;
use tollgate_types::{
    BoxFuture, EmbedRequest, EmbedResponse, Error, ErrorKind, EventStream, GenerateRequest,
    GenerateResponse, ModelInfo, Provider, Result, Secret, events_of,
};

use crate::dialects::openai::{
    ChatTarget, Host, decode_embed_reply, decode_models, decode_reply, encode_chat, encode_embed,
};
use answer::Answer;
use transport::{Deadline, Transport};

/// How an OpenAI-compatible host is reached.
#[derive(Clone)]
pub struct OpenAiOptions {
    /// The provider's name, in errors and in [`tollgate_types::Origin::provider`].
    pub name: String,
    /// Address of the API without the last path segment: `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as bearer token; local hosts need none.
    pub api_key: Option<Secret<String>>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest silence within a stream.
    pub idle_timeout: Duration,
    /// Longest wait for the first byte of a stream, or for a whole answer: a reasoning model can
    /// think for minutes before it says anything.
    pub answer_timeout: Duration,
    /// Sent with every request (`openai-organization`, Azure's `api-key` ...).
    pub headers: HeaderMap,
}

impl Default for OpenAiOptions {
    fn default() -> Self {
        Self {
            name: "openai".to_owned(),
            base_url: "https://api.openai.com/v1".to_owned(),
            api_key: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(600),
            headers: HeaderMap::new(),
        }
    }
}

/// Headers are left out: they may hold a key.
impl fmt::Debug for OpenAiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiOptions")
            .field("name", &self.name)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// An OpenAI-compatible upstream. A request's `model` is the upstream's bare model id.
#[derive(Clone, Debug)]
pub struct OpenAi {
    name: Arc<str>,
    host: Host,
    transport: Transport,
}

impl OpenAi {
    /// Prepares connections; none is opened yet.
    ///
    /// # Errors
    /// `invalid_request` for a base URL or key that cannot be sent, or when the base URL is https
    /// and the system has no certificates.
    pub fn new(options: OpenAiOptions) -> Result<Self> {
        let transport = Transport::new(&options)?;
        Ok(Self { name: options.name.into(), host: transport.host(), transport })
    }

    fn target<'a>(&self, request: &'a GenerateRequest, stream: bool) -> ChatTarget<'a> {
        ChatTarget { model: &request.model, host: self.host, stream }
    }

    async fn open(&self, request: GenerateRequest) -> Result<EventStream> {
        let (body, warnings) = encode_chat(&request, self.target(&request, true))?;
        let deadline = Deadline::of(&request.options);
        let response =
            self.transport.post("chat/completions", &body, &request.options, deadline).await?;
        if transport::is_whole(&response) {
            let body = self.transport.whole(response, deadline).await?;
            let mut answer = decode_reply(&body, &self.name)
                .map_err(|error| self.transport.without_key(error))?;
            answer.warnings = warnings;
            return Ok(EventStream::of_events(events_of(answer)));
        }
        Answer::new(&self.name, &self.transport, response, deadline).into_events(warnings).await
    }

    async fn ask(&self, request: GenerateRequest) -> Result<GenerateResponse> {
        let (body, warnings) = encode_chat(&request, self.target(&request, false))?;
        let deadline = Deadline::of(&request.options);
        let response =
            self.transport.post("chat/completions", &body, &request.options, deadline).await?;
        let body = self.transport.whole(response, deadline).await?;
        let mut answer =
            decode_reply(&body, &self.name).map_err(|error| self.transport.without_key(error))?;
        answer.warnings = warnings;
        Ok(answer)
    }

    async fn vectors(&self, request: EmbedRequest) -> Result<EmbedResponse> {
        let body = encode_embed(&request, &request.model)?;
        let deadline = Deadline::of(&request.options);
        let response = self.transport.post("embeddings", &body, &request.options, deadline).await?;
        let body = self.transport.whole(response, deadline).await?;
        let answer = decode_embed_reply(&body, &self.name)
            .map_err(|error| self.transport.without_key(error))?;
        let (asked, came) = (request.input.len(), answer.vectors.len());
        if asked != came {
            let message = format!("{} sent {came} vectors for {asked} texts", self.name);
            return Err(Error::new(ErrorKind::Protocol, message));
        }
        Ok(answer)
    }

    async fn list(&self) -> Result<Vec<ModelInfo>> {
        let response = self.transport.get("models").await?;
        let body = self.transport.whole(response, Deadline::default()).await?;
        decode_models(&body, &self.name)
    }
}

impl Provider for OpenAi {
    fn name(&self) -> &str {
        &self.name
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        Box::pin(self.open(request))
    }

    fn generate(&self, request: GenerateRequest) -> BoxFuture<'_, Result<GenerateResponse>> {
        Box::pin(self.ask(request))
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<EmbedResponse>> {
        Box::pin(self.vectors(request))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<ModelInfo>>> {
        Box::pin(self.list())
    }
}
