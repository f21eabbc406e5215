//! OpenAI, and every host that speaks its chat completions or responses, as a provider.

use ::http::HeaderMap;
use std::{borrow::Cow, sync::Arc};
use tollgate_types::{
    BoxFuture, EmbedRequest, EmbedResponse, EventStream, GenerateRequest, GenerateResponse,
    ModelInfo, Provider, Result,
};

use super::http::{
    Ask, Deadline, Framing, HttpOptions, Sent, Transport, Wire, headers_of, original_of,
};
use crate::config::OpenaiApi;
use crate::dialects::openai::{
    CHAT_API, ChatTarget, Host, StreamDecoder, decode_embed_reply, decode_models, decode_reply,
    decode_told_reply, encode_chat, encode_embed, patch_chat,
    responses::{
        API as RESPONSES_API, ResponsesDecoder, ResponsesTarget, decode_response, encode_responses,
        is_patchable, patch_responses,
    },
    with_ids,
};

/// OpenAI's own address.
pub const BASE_URL: &str = "https://api.openai.com/v1";

/// An OpenAI-compatible upstream. A request's `model` is the upstream's bare model id.
#[derive(Clone, Debug)]
pub struct OpenAi {
    name: Arc<str>,
    host: Host,
    api: OpenaiApi,
    transport: Transport,
}

/// Chat completions.
struct Chat;

impl Wire for Chat {
    type Decoder = StreamDecoder;

    const FRAMING: Framing = Framing::Sse;

    fn decoder(provider: &str) -> StreamDecoder {
        StreamDecoder::new(provider)
    }

    fn reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
        decode_reply(body, provider)
    }

    fn told_reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
        decode_told_reply(body, provider)
    }

    fn mend(payload: &str) -> Cow<'_, str> {
        with_ids(payload)
    }
}

/// Responses.
struct Responses;

impl Wire for Responses {
    type Decoder = ResponsesDecoder;

    const FRAMING: Framing = Framing::Sse;

    fn decoder(provider: &str) -> ResponsesDecoder {
        ResponsesDecoder::new(provider)
    }

    fn reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
        decode_response(body, provider)
    }
}

impl OpenAi {
    /// Prepares connections to a host that offers these APIs; none is opened yet.
    ///
    /// # Errors
    /// `invalid_request` for a base URL or key that cannot be sent, or when the base URL is https
    /// and the system has no certificates.
    pub fn new(options: HttpOptions, api: OpenaiApi) -> Result<Self> {
        let transport = Transport::new(&options)?;
        let host = Host::of(transport.host());
        Ok(Self { name: options.name.into(), host, api, transport })
    }

    fn chat(&self, request: &GenerateRequest, stream: bool) -> Result<Ask> {
        let path = "chat/completions".to_owned();
        let target = ChatTarget { model: &request.model, host: self.host, stream };
        if let Some(original) = original_of(&request.options, CHAT_API) {
            let body = patch_chat(original, request, target)?;
            let sent = Sent { path, body, headers: headers_of(original) };
            return Ok(Ask { sent, verbatim: true, ..Ask::default() });
        }
        let (body, warnings) = encode_chat(request, target)?;
        let sent = Sent { path, body: body.to_string().into_bytes(), ..Sent::default() };
        Ok(Ask { sent, warnings, verbatim: false })
    }

    fn responses(&self, request: &GenerateRequest, stream: bool) -> Result<Ask> {
        let path = "responses".to_owned();
        let Some(original) = original_of(&request.options, RESPONSES_API) else {
            let target = ResponsesTarget { model: &request.model, stream };
            let (body, warnings) = encode_responses(request, target)?;
            let sent = Sent { path, body: body.to_string().into_bytes(), ..Sent::default() };
            return Ok(Ask { sent, warnings, verbatim: false });
        };
        let target = ResponsesTarget { model: &request.model, stream: original.streamed };
        let headers = headers_of(original);
        // What another vendor signed stays here, so such a body is written anew.
        let (body, warnings) = if is_patchable(original) {
            (patch_responses(original, request, target)?, Vec::new())
        } else {
            let (body, warnings) = encode_responses(request, target)?;
            (body.to_string().into_bytes(), warnings)
        };
        Ok(Ask { sent: Sent { path, body, headers }, warnings, verbatim: true })
    }

    /// Whether a call goes to the Responses API.
    fn takes_responses(&self, request: &GenerateRequest) -> bool {
        match self.api {
            OpenaiApi::Chat => false,
            OpenaiApi::Responses => true,
            OpenaiApi::Both => original_of(&request.options, RESPONSES_API).is_some(),
        }
    }

    async fn open(&self, request: GenerateRequest) -> Result<EventStream> {
        if self.takes_responses(&request) {
            let ask = self.responses(&request, true)?;
            return self.transport.open::<Responses>(ask, &request.options).await;
        }
        let ask = self.chat(&request, true)?;
        self.transport.open::<Chat>(ask, &request.options).await
    }

    async fn ask(&self, request: GenerateRequest) -> Result<GenerateResponse> {
        if self.takes_responses(&request) {
            let ask = self.responses(&request, false)?;
            return self.transport.ask::<Responses>(ask, &request.options).await;
        }
        let ask = self.chat(&request, false)?;
        self.transport.ask::<Chat>(ask, &request.options).await
    }

    async fn vectors(&self, request: EmbedRequest) -> Result<EmbedResponse> {
        let body = encode_embed(&request, &request.model)?.to_string().into_bytes();
        let sent = Sent { path: "embeddings".to_owned(), body, ..Sent::default() };
        let deadline = Deadline::of(&request.options);
        let response = self.transport.post(sent, &request.options, deadline).await?;
        let body = self.transport.whole(response, deadline).await?;
        let answer = decode_embed_reply(&body, &self.name)
            .map_err(|error| self.transport.without_key(error))?;
        self.transport.check_count(&request.input, &answer)?;
        Ok(answer)
    }

    async fn list(&self) -> Result<Vec<ModelInfo>> {
        let response = self.transport.get("models", HeaderMap::new()).await?;
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
