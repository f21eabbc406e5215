//! Google as a provider: the Gemini API, or Gemini on Vertex AI.
//!
//! The address decides. Below `.../projects/` of Vertex AI the key is an access token and goes out
//! as `Authorization: Bearer`; everywhere else, Vertex AI's express mode included, it is an API key
//! and goes out as `x-goog-api-key`.

use http::HeaderMap;
use std::{borrow::Cow, sync::Arc};
use tollgate_types::{
    BoxFuture, EmbedRequest, EmbedResponse, Error, EventStream, GenerateRequest, GenerateResponse,
    ModelInfo, Provider, Result,
};

use super::http::{
    Ask, Deadline, Framing, HttpOptions, Sent, Transport, Wire, headers_of, original_of,
};
use crate::dialects::google::{
    API, Platform, StreamDecoder, Target, decode_count_reply, decode_embed_reply, decode_models,
    decode_predictions, decode_reply, encode_count, encode_embed, encode_generate,
    encode_instances, patch_generate, with_ids,
};

/// The vendor's own address.
pub const BASE_URL: &str = "https://generativelanguage.googleapis.com/v1beta";

const VERTEX: &str = "aiplatform.googleapis.com";
/// Pages of a list of models that are read at most.
const MAX_PAGES: usize = 10;
/// Texts that the Gemini API takes at once (API reference, batchEmbedContents).
const TEXTS_AT_ONCE: usize = 100;

/// Whether the host behind an address takes access tokens instead of API keys.
pub(super) fn takes_tokens(base_url: &str) -> bool {
    base_url.contains(VERTEX) && base_url.contains("/projects/")
}

/// An upstream. A request's `model` is the upstream's bare model id.
#[derive(Clone, Debug)]
pub struct Google {
    name: Arc<str>,
    platform: Platform,
    transport: Transport,
}

/// generateContent.
struct Generate;

impl Wire for Generate {
    type Decoder = StreamDecoder;

    const FRAMING: Framing = Framing::Sse;

    fn decoder(provider: &str) -> StreamDecoder {
        StreamDecoder::new(provider)
    }

    fn reply(body: &[u8], provider: &str) -> Result<GenerateResponse> {
        decode_reply(body, provider)
    }

    fn mend(payload: &str) -> Cow<'_, str> {
        with_ids(payload)
    }
}

impl Google {
    /// Prepares connections; none is opened yet. A bare host gets the API's usual path.
    ///
    /// # Errors
    /// `invalid_request` for a base URL or key that cannot be sent, or when the base URL is https
    /// and the system has no certificates.
    pub fn new(options: HttpOptions) -> Result<Self> {
        let is_vertex = options.base_url.contains(VERTEX);
        let usual = if is_vertex { "/v1/publishers/google" } else { "/v1beta" };
        let transport = Transport::new(&options.with_usual_path(usual))?;
        let is_vertex = transport.host().ends_with(VERTEX);
        let platform = if is_vertex { Platform::Vertex } else { Platform::Gemini };
        Ok(Self { name: options.name.into(), platform, transport })
    }

    fn ask_for(&self, request: &GenerateRequest, stream: bool) -> Result<Ask> {
        let target = Target { model: &request.model, platform: self.platform };
        if let Some(original) = original_of(&request.options, API) {
            let body = patch_generate(original, request, target)?;
            let path = generate_path(&request.model, original.streamed)?;
            let sent = Sent { path, body, headers: headers_of(original) };
            return Ok(Ask { sent, verbatim: true, ..Ask::default() });
        }
        let (body, warnings) = encode_generate(request, target)?;
        let path = generate_path(&request.model, stream)?;
        let sent = Sent { path, body: body.to_string().into_bytes(), ..Sent::default() };
        Ok(Ask { sent, warnings, verbatim: false })
    }

    async fn open(&self, request: GenerateRequest) -> Result<EventStream> {
        let ask = self.ask_for(&request, true)?;
        self.transport.open::<Generate>(ask, &request.options).await
    }

    async fn ask(&self, request: GenerateRequest) -> Result<GenerateResponse> {
        let ask = self.ask_for(&request, false)?;
        self.transport.ask::<Generate>(ask, &request.options).await
    }

    async fn vectors(&self, request: EmbedRequest) -> Result<EmbedResponse> {
        let mut answer = EmbedResponse::default();
        let deadline = Deadline::of(&request.options);
        for texts in request.input.chunks(TEXTS_AT_ONCE) {
            let some = EmbedRequest { input: texts.to_vec(), ..request.clone() };
            let more = self.some_vectors(&some, deadline).await?;
            self.transport.check_count(texts, &more)?;
            answer.vectors.extend(more.vectors);
            answer.usage.add(&more.usage);
        }
        answer.model = request.model;
        Ok(answer)
    }

    async fn some_vectors(&self, some: &EmbedRequest, deadline: Deadline) -> Result<EmbedResponse> {
        let (body, method) = match self.platform {
            Platform::Gemini => (encode_embed(some, &some.model)?, "batchEmbedContents"),
            Platform::Vertex => (encode_instances(some)?, "predict"),
        };
        let path = path_of(&some.model, method)?;
        let sent = Sent { path, body: body.to_string().into_bytes(), ..Sent::default() };
        let response = self.transport.post(sent, &some.options, deadline).await?;
        let body = self.transport.whole(response, deadline).await?;
        let read = match self.platform {
            Platform::Gemini => decode_embed_reply(&body, &self.name),
            Platform::Vertex => decode_predictions(&body, &self.name),
        };
        read.map_err(|error| self.transport.without_key(error))
    }

    async fn count(&self, request: GenerateRequest) -> Result<u64> {
        let target = Target { model: &request.model, platform: self.platform };
        let body = encode_count(&request, target)?.to_string().into_bytes();
        let path = path_of(&request.model, "countTokens")?;
        let sent = Sent { path, body, ..Sent::default() };
        let deadline = Deadline::of(&request.options);
        let response = self.transport.post(sent, &request.options, deadline).await?;
        decode_count_reply(&self.transport.whole(response, deadline).await?, &self.name)
    }

    async fn list(&self) -> Result<Vec<ModelInfo>> {
        let mut all = Vec::new();
        let mut path = "models?pageSize=1000".to_owned();
        for _ in 0..MAX_PAGES {
            let response = self.transport.get(&path, HeaderMap::new()).await?;
            let body = self.transport.whole(response, Deadline::default()).await?;
            let (models, next) = decode_models(&body, &self.name)?;
            all.extend(models);
            let Some(token) = next else { break };
            path = format!("models?pageSize=1000&pageToken={}", escaped(&token));
        }
        Ok(all)
    }
}

fn generate_path(model: &str, stream: bool) -> Result<String> {
    if stream {
        Ok(path_of(model, "streamGenerateContent")? + "?alt=sse")
    } else {
        path_of(model, "generateContent")
    }
}

/// The path of a model's method. The name comes from a caller, and must not lead anywhere else.
fn path_of(model: &str, method: &str) -> Result<String> {
    let mut segments = model.split('/');
    // With `models/` a model would have two names, and its price and permission only one.
    if segments.any(|segment| matches!(segment, "" | "." | "..")) || model.starts_with("models/") {
        return Err(Error::invalid("model", format!("{model:?} is no name of a model")));
    }
    let collection = if model.starts_with("tunedModels/") { "" } else { "models/" };
    let model: Vec<String> = model.split('/').map(escaped).collect();
    Ok(format!("{collection}{}:{method}", model.join("/")))
}

/// A text as it may stand in a path or a query.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl Provider for Google {
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

    fn count_tokens(&self, request: GenerateRequest) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.count(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_stays_below_the_models() {
        for (model, path) in [
            ("gemini-x", "models/gemini-x:m"),
            ("tunedModels/a b", "tunedModels/a%20b:m"),
            ("a/b?key=c#d:e%2f", "models/a/b%3Fkey%3Dc%23d%3Ae%252f:m"),
        ] {
            assert_eq!(path_of(model, "m").unwrap(), path);
        }
        for model in ["", "..", "a/../b", "a//b", "./a", "models/a"] {
            assert!(path_of(model, "m").is_err(), "{model}");
        }
    }

    #[test]
    fn access_tokens_go_only_below_a_project_of_vertex() {
        let project = "https://us-east1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google";
        assert!(takes_tokens(project));
        assert!(!takes_tokens("https://aiplatform.googleapis.com/v1/publishers/google"));
        assert!(!takes_tokens(BASE_URL));
    }
}
