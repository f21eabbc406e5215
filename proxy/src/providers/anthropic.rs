//! Anthropic, and every host that speaks its messages, as a provider.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use tollgate_types::{
    BoxFuture, Error, EventStream, GenerateRequest, GenerateResponse, ModelInfo, Provider, Result,
};

use super::http::{
    Ask, Deadline, Framing, HttpOptions, Sent, Transport, Wire, headers_of, original_of,
};
use crate::dialects::anthropic::{
    API, COUNT_API, Encoded, MessagesTarget, StreamDecoder, VERSION, decode_count_reply,
    decode_models, decode_reply, encode_count, encode_messages_call, patch_count, patch_messages,
};

/// The vendor's own address.
pub const BASE_URL: &str = "https://api.anthropic.com/v1";

/// What follows the host where the base URL names nothing else, as Anthropic's SDKs take it.
const USUAL_PATH: &str = "/v1";

const VERSION_HEADER: HeaderName = HeaderName::from_static("anthropic-version");
const BETA_HEADER: HeaderName = HeaderName::from_static("anthropic-beta");

/// An upstream. A request's `model` is the upstream's bare model id.
#[derive(Clone, Debug)]
pub struct Anthropic {
    name: Arc<str>,
    transport: Transport,
}

/// Messages.
struct Messages;

impl Wire for Messages {
    type Decoder = StreamDecoder;

    const FRAMING: Framing = Framing::Sse;

    fn decoder(provider: &str) -> StreamDecoder {
        StreamDecoder::new(provider)
    }

    fn reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
        decode_reply(body, provider)
    }
}

impl Anthropic {
    /// Prepares connections; none is opened yet.
    ///
    /// # Errors
    /// `invalid_request` for a base URL or key that cannot be sent, or when the base URL is https
    /// and the system has no certificates.
    pub fn new(options: HttpOptions) -> Result<Self> {
        let transport = Transport::new(&options.with_usual_path(USUAL_PATH))?;
        Ok(Self { name: options.name.into(), transport })
    }

    fn messages(&self, request: &GenerateRequest, stream: bool) -> Result<Ask> {
        let path = "messages".to_owned();
        let default_max_output = request.options.model_max_output;
        let target = MessagesTarget { model: &request.model, default_max_output, stream };
        if let Some(original) = original_of(&request.options, API) {
            let body = patch_messages(original, request, target)?;
            let sent = Sent { path, body, headers: versioned(headers_of(original)) };
            return Ok(Ask { sent, verbatim: true, ..Ask::default() });
        }
        let encoded = encode_messages_call(request, target)?;
        let (sent, warnings) = sent(path, encoded)?;
        Ok(Ask { sent, warnings, verbatim: false })
    }

    fn count(&self, request: &GenerateRequest) -> Result<Sent> {
        let path = "messages/count_tokens".to_owned();
        if let Some(original) = original_of(&request.options, COUNT_API) {
            let body = patch_count(original, request)?;
            return Ok(Sent { path, body, headers: versioned(headers_of(original)) });
        }
        Ok(sent(path, encode_count(request, &request.model)?)?.0)
    }

    async fn open(&self, request: GenerateRequest) -> Result<EventStream> {
        let ask = self.messages(&request, true)?;
        self.transport.open::<Messages>(ask, &request.options).await
    }

    async fn ask(&self, request: GenerateRequest) -> Result<GenerateResponse> {
        let ask = self.messages(&request, false)?;
        self.transport.ask::<Messages>(ask, &request.options).await
    }

    async fn counted(&self, request: GenerateRequest) -> Result<u64> {
        let sent = self.count(&request)?;
        let deadline = Deadline::of(&request.options);
        let response = self.transport.post(sent, &request.options, deadline).await?;
        let body = self.transport.whole(response, deadline).await?;
        decode_count_reply(&body, &self.name)
    }

    async fn list(&self) -> Result<Vec<ModelInfo>> {
        // As many as there can be on one page.
        let response = self.transport.get("models?limit=1000", versioned(HeaderMap::new())).await?;
        let body = self.transport.whole(response, Deadline::default()).await?;
        decode_models(&body, &self.name)
    }
}

/// The headers with a version of the API: without one Anthropic answers nobody.
fn versioned(mut headers: HeaderMap) -> HeaderMap {
    headers.entry(VERSION_HEADER).or_insert(HeaderValue::from_static(VERSION));
    headers
}

fn sent(path: String, encoded: Encoded) -> Result<(Sent, Vec<tollgate_types::Warning>)> {
    let mut headers = versioned(HeaderMap::new());
    if !encoded.betas.is_empty() {
        let named = HeaderValue::try_from(encoded.betas.join(",")).map_err(|cause| {
            let message = "the names of betas hold characters that no header can carry";
            Error::invalid("extras.anthropic.betas", message).with_source(cause)
        })?;
        headers.insert(BETA_HEADER, named);
    }
    let body = encoded.body.to_string().into_bytes();
    Ok((Sent { path, body, headers }, encoded.warnings))
}

impl Provider for Anthropic {
    fn name(&self) -> &str {
        &self.name
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        Box::pin(self.open(request))
    }

    fn generate(&self, request: GenerateRequest) -> BoxFuture<'_, Result<GenerateResponse>> {
        Box::pin(self.ask(request))
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<ModelInfo>>> {
        Box::pin(self.list())
    }

    fn count_tokens(&self, request: GenerateRequest) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.counted(request))
    }
}
