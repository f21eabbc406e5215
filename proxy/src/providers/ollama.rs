//! Ollama as a provider.

use futures_util::StreamExt;
use http::HeaderMap;
use std::sync::Arc;
use tollgate_types::{
    BoxFuture, CallOptions, EmbedRequest, EmbedResponse, ErrorKind, EventStream, GenerateRequest,
    GenerateResponse, ModelInfo, Provider, Result,
};

use super::http::{
    AnswerLines, Ask, Deadline, Framing, HttpOptions, Sent, Transport, Wire, headers_of,
    original_of,
};
use crate::dialects::ollama::{
    Api, CHAT_API, GENERATE_API, PullProgress, RunningModel, StreamDecoder, Target,
    decode_embed_reply, decode_ps, decode_pull, decode_reply, decode_show, decode_tags,
    encode_chat, encode_embed, encode_generate, needs_generate, patch,
};

/// The vendor's own address.
pub const BASE_URL: &str = "http://127.0.0.1:11434/api";

/// The path of the API at every address that names none.
const USUAL_PATH: &str = "/api";

/// Models about which more than their names is asked.
const SHOWN_AT_MOST: usize = 64;
/// As many at once.
const SHOWN_AT_ONCE: usize = 8;

/// An upstream. A request's `model` is the upstream's bare model id.
#[derive(Clone, Debug)]
pub struct Ollama {
    name: Arc<str>,
    transport: Transport,
}

/// `POST /api/chat`.
struct Chat;

impl Wire for Chat {
    type Decoder = StreamDecoder;

    const FRAMING: Framing = Framing::Lines;

    fn decoder(provider: &str) -> StreamDecoder {
        StreamDecoder::new(provider, Api::Chat)
    }

    fn reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
        decode_reply(body, provider, Api::Chat)
    }
}

/// `POST /api/generate`.
struct Generate;

impl Wire for Generate {
    type Decoder = StreamDecoder;

    const FRAMING: Framing = Framing::Lines;

    fn decoder(provider: &str) -> StreamDecoder {
        StreamDecoder::new(provider, Api::Generate)
    }

    fn reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
        decode_reply(body, provider, Api::Generate)
    }
}

impl Ollama {
    /// Prepares connections; none is opened yet. An address without a path gets Ollama's own.
    ///
    /// # Errors
    /// `invalid_request` for a base URL or key that cannot be sent, or when the base URL is https
    /// and the system has no certificates.
    pub fn new(options: HttpOptions) -> Result<Self> {
        let transport = Transport::new(&options.with_usual_path(USUAL_PATH))?;
        Ok(Self { name: options.name.into(), transport })
    }

    /// What is sent, and to which of the two APIs.
    fn ask(&self, request: &GenerateRequest, stream: bool) -> Result<(Ask, Api)> {
        let target = Target { model: &request.model, stream };
        for (api, name) in [(Api::Chat, CHAT_API), (Api::Generate, GENERATE_API)] {
            if let Some(original) = original_of(&request.options, name) {
                let body = patch(original, request, target)?;
                let sent = Sent { path: path_of(api), body, headers: headers_of(original) };
                return Ok((Ask { sent, verbatim: true, ..Ask::default() }, api));
            }
        }
        let (api, (body, warnings)) = if needs_generate(request) {
            (Api::Generate, encode_generate(request, target)?)
        } else {
            (Api::Chat, encode_chat(request, target)?)
        };
        let body = body.to_string().into_bytes();
        let sent = Sent { path: path_of(api), body, ..Sent::default() };
        Ok((Ask { sent, warnings, verbatim: false }, api))
    }

    async fn open(&self, request: GenerateRequest) -> Result<EventStream> {
        let (ask, api) = self.ask(&request, true)?;
        match api {
            Api::Chat => self.transport.open::<Chat>(ask, &request.options).await,
            Api::Generate => self.transport.open::<Generate>(ask, &request.options).await,
        }
    }

    async fn whole(&self, request: GenerateRequest) -> Result<GenerateResponse> {
        let (ask, api) = self.ask(&request, false)?;
        match api {
            Api::Chat => self.transport.ask::<Chat>(ask, &request.options).await,
            Api::Generate => self.transport.ask::<Generate>(ask, &request.options).await,
        }
    }

    async fn vectors(&self, request: EmbedRequest) -> Result<EmbedResponse> {
        let body = encode_embed(&request, &request.model)?.to_string().into_bytes();
        let body = self.post("embed", body, &request.options).await?;
        let answer = decode_embed_reply(&body, &self.name)
            .map_err(|error| self.transport.without_key(error))?;
        self.transport.check_count(&request.input, &answer)?;
        Ok(answer)
    }

    async fn list(&self) -> Result<Vec<ModelInfo>> {
        let mut models = decode_tags(&self.get("tags").await?, &self.name)?;
        let unknown = models.split_off(models.len().min(SHOWN_AT_MOST));
        let shown = futures_util::stream::iter(models).map(|model| self.shown(model));
        let mut models: Vec<ModelInfo> = shown.buffered(SHOWN_AT_ONCE).collect().await;
        models.extend(unknown);
        Ok(models)
    }

    /// A model with its context length and abilities, which lists do not tell.
    async fn shown(&self, model: ModelInfo) -> ModelInfo {
        let body = serde_json::json!({"model": model.id}).to_string().into_bytes();
        match self.post("show", body, &CallOptions::default()).await {
            Ok(body) => decode_show(&body, model),
            Err(_) => model,
        }
    }

    /// The models that are loaded.
    ///
    /// # Errors
    /// When the upstream cannot say.
    pub async fn running(&self) -> Result<Vec<RunningModel>> {
        decode_ps(&self.get("ps").await?, &self.name)
    }

    /// Has the upstream fetch a model, and tells each step of it.
    ///
    /// # Errors
    /// When the upstream cannot fetch it, or stops before it is there.
    pub async fn pull(&self, model: &str, mut step: impl FnMut(&PullProgress)) -> Result<()> {
        let body = serde_json::json!({"model": model, "stream": true}).to_string().into_bytes();
        let sent = Sent { path: "pull".to_owned(), body, ..Sent::default() };
        let options = CallOptions::default();
        let response = self.transport.post(sent, &options, Deadline::default()).await?;
        let mut lines = AnswerLines::new(&self.transport, response);
        while let Some(line) = lines.next().await? {
            let progress = decode_pull(&line, &self.name)
                .map_err(|error| self.transport.without_key(error))?;
            step(&progress);
            if progress.is_success() {
                return Ok(());
            }
        }
        let message = "stopped before the model was there";
        Err(self.transport.error(ErrorKind::StreamInterrupted, message))
    }

    async fn get(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.transport.get(path, HeaderMap::new()).await?;
        self.transport.whole(response, Deadline::default()).await
    }

    async fn post(&self, path: &str, body: Vec<u8>, options: &CallOptions) -> Result<Vec<u8>> {
        let sent = Sent { path: path.to_owned(), body, ..Sent::default() };
        let deadline = Deadline::of(options);
        let response = self.transport.post(sent, options, deadline).await?;
        self.transport.whole(response, deadline).await
    }
}

fn path_of(api: Api) -> String {
    match api {
        Api::Chat => "chat".to_owned(),
        Api::Generate => "generate".to_owned(),
    }
}

impl Provider for Ollama {
    fn name(&self) -> &str {
        &self.name
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        Box::pin(self.open(request))
    }

    fn generate(&self, request: GenerateRequest) -> BoxFuture<'_, Result<GenerateResponse>> {
        Box::pin(self.whole(request))
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<EmbedResponse>> {
        Box::pin(self.vectors(request))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<ModelInfo>>> {
        Box::pin(self.list())
    }
}
