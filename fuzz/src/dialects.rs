//! Every dialect as one table, so that a target is written once. A new dialect is one more entry.

use serde_json::Value;
use tollgate::{
    dialects::{
        anthropic, google, ollama, openai, openai::responses, stream::Decoder, stream::ReplyHead,
    },
    providers::http::Framing,
};
use tollgate_types::{
    EmbedRequest, EmbedResponse, Error, GenerateRequest, GenerateResponse, Original, Result,
    StreamEvent,
};

/// The model that requests are sent to.
pub const MODEL: &str = "target-model";

/// What a dialect can do, without the names it has for it.
pub struct Dialect {
    /// Name of its wire format.
    pub api: &'static str,
    /// How its streams are cut into payloads.
    pub framing: Framing,
    /// Reads a client's request.
    pub read_request: fn(&[u8]) -> Result<GenerateRequest>,
    /// Writes a request for an upstream.
    pub write_request: fn(&GenerateRequest) -> Result<Value>,
    /// Changes a client's own body.
    pub patch: fn(&Original, &GenerateRequest) -> Result<Vec<u8>>,
    /// Reads an upstream's whole answer.
    pub read_reply: fn(&[u8]) -> Result<GenerateResponse>,
    /// Writes a whole answer for a client.
    pub write_reply: fn(&GenerateResponse) -> Value,
    /// Reads an upstream's stream.
    pub decoder: fn() -> Box<dyn Decoder>,
    /// Writes a stream for a client.
    pub write_stream: fn(&[StreamEvent]) -> Vec<Value>,
    /// Writes an error for a client.
    pub write_error: fn(&Error) -> Value,
    /// Reads and writes vectors, where the dialect has them.
    pub embed: Option<Embed>,
    /// Whatever else it reads: lists of models, progress of downloads.
    pub others: &'static [fn(&[u8])],
}

/// Texts to vectors.
pub struct Embed {
    /// Reads a client's request.
    pub read: fn(&[u8]) -> Result<EmbedRequest>,
    /// Writes a request for an upstream.
    pub write: fn(&EmbedRequest) -> Result<Value>,
    /// Reads an upstream's answer.
    pub read_reply: fn(&[u8]) -> Result<EmbedResponse>,
    /// Writes an answer for a client.
    pub write_reply: fn(&EmbedResponse) -> Value,
}

/// Every dialect.
pub const ALL: &[Dialect] =
    &[OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC, GOOGLE, OLLAMA_CHAT, OLLAMA_GENERATE];

fn head() -> ReplyHead {
    ReplyHead { id: "id".to_owned(), created_s: 1, model: "asked-model".to_owned() }
}

const OPENAI_TARGET: openai::ChatTarget<'static> =
    openai::ChatTarget { model: MODEL, host: openai::Host::Compatible, stream: true };

const OPENAI_CHAT: Dialect = Dialect {
    api: openai::CHAT_API,
    framing: Framing::Sse,
    read_request: |body| openai::decode_chat(body).map(|call| call.request),
    write_request: |request| openai::encode_chat(request, OPENAI_TARGET).map(|(body, _)| body),
    patch: |original, request| openai::patch_chat(original, request, OPENAI_TARGET),
    read_reply: |body| openai::decode_reply(body, "p"),
    write_reply: |answer| openai::encode_reply(answer, &head()),
    decoder: || Box::new(openai::StreamDecoder::new("p")),
    write_stream: |events| {
        let mut encoder = openai::StreamEncoder::new(head(), true);
        events.iter().flat_map(|event| encoder.push(event)).collect()
    },
    write_error: openai::encode_error,
    embed: Some(Embed {
        read: |body| openai::decode_embed(body).map(|call| call.request),
        write: |request| openai::encode_embed(request, MODEL),
        read_reply: |body| openai::decode_embed_reply(body, "p"),
        write_reply: |answer| {
            openai::encode_embed_reply(answer, openai::Encoding::Base64, "asked-model")
        },
    }),
    others: &[|body| drop(openai::decode_models(body, "p"))],
};

const RESPONSES_TARGET: responses::ResponsesTarget<'static> =
    responses::ResponsesTarget { model: MODEL, stream: true };

const OPENAI_RESPONSES: Dialect = Dialect {
    api: responses::API,
    framing: Framing::Sse,
    read_request: |body| responses::decode_responses(body).map(|call| call.request),
    write_request: |request| {
        responses::encode_responses(request, RESPONSES_TARGET).map(|(body, _)| body)
    },
    patch: |original, request| responses::patch_responses(original, request, RESPONSES_TARGET),
    read_reply: |body| responses::decode_response(body, "p"),
    write_reply: |answer| responses::encode_response(answer, &head(), &responses::Echo::default()),
    decoder: || Box::new(responses::ResponsesDecoder::new("p")),
    write_stream: |events| {
        let mut encoder = responses::ResponsesEncoder::new(head(), responses::Echo::default());
        events.iter().flat_map(|event| encoder.push(event)).collect()
    },
    embed: None,
    others: &[],
    ..OPENAI_CHAT
};

const ANTHROPIC_TARGET: anthropic::MessagesTarget<'static> =
    anthropic::MessagesTarget { model: MODEL, default_max_output: None, stream: true };

const ANTHROPIC: Dialect = Dialect {
    api: anthropic::API,
    framing: Framing::Sse,
    read_request: |body| anthropic::decode_messages_call(body).map(|call| call.request),
    write_request: |request| {
        anthropic::encode_messages_call(request, ANTHROPIC_TARGET).map(|encoded| encoded.body)
    },
    patch: |original, request| anthropic::patch_messages(original, request, ANTHROPIC_TARGET),
    read_reply: |body| anthropic::decode_reply(body, "p"),
    write_reply: |answer| anthropic::encode_reply(answer, &head()),
    decoder: || Box::new(anthropic::StreamDecoder::new("p")),
    write_stream: |events| {
        let mut encoder = anthropic::StreamEncoder::new(head());
        events.iter().flat_map(|event| encoder.push(event)).collect()
    },
    write_error: anthropic::encode_error,
    embed: None,
    others: &[
        |body| drop(anthropic::decode_models(body, "p")),
        |body| drop(anthropic::decode_count(body)),
        |body| drop(anthropic::decode_count_reply(body, "p")),
    ],
};

const GOOGLE_TARGET: google::Target<'static> =
    google::Target { model: MODEL, platform: google::Platform::Gemini };

/// A request's model stands in its path, not in its body.
const GOOGLE: Dialect = Dialect {
    api: google::API,
    framing: Framing::Sse,
    read_request: |body| google::decode_generate(body, MODEL),
    write_request: |request| google::encode_generate(request, GOOGLE_TARGET).map(|(body, _)| body),
    patch: |original, request| google::patch_generate(original, request, GOOGLE_TARGET),
    read_reply: |body| google::decode_reply(body, "p"),
    write_reply: |answer| google::encode_reply(answer, &head()),
    decoder: || Box::new(google::StreamDecoder::new("p")),
    write_stream: |events| {
        let mut encoder = google::StreamEncoder::new(head());
        events.iter().flat_map(|event| encoder.push(event)).collect()
    },
    write_error: |error| google::encode_error(error, 500),
    embed: Some(Embed {
        read: |body| google::decode_embed_batch(body, MODEL),
        write: |request| google::encode_embed(request, MODEL),
        read_reply: |body| google::decode_embed_reply(body, "p"),
        write_reply: |answer| google::encode_embed_reply(answer, true),
    }),
    others: &[
        |body| drop(google::decode_models(body, "p")),
        |body| drop(google::decode_embed(body, MODEL)),
        |body| drop(google::decode_count(body, MODEL)),
        |body| drop(google::decode_count_reply(body, "p")),
        |body| drop(google::decode_predictions(body, "p")),
    ],
};

const OLLAMA_TARGET: ollama::Target<'static> = ollama::Target { model: MODEL, stream: true };

const OLLAMA_CHAT: Dialect = Dialect {
    api: ollama::CHAT_API,
    framing: Framing::Lines,
    read_request: |body| ollama::decode_chat(body).map(|asked| asked.request),
    write_request: |request| ollama::encode_chat(request, OLLAMA_TARGET).map(|(body, _)| body),
    patch: |original, request| ollama::patch(original, request, OLLAMA_TARGET),
    read_reply: |body| ollama::decode_reply(body, "p", ollama::Api::Chat),
    write_reply: |answer| ollama::encode_reply(answer, &head(), ollama::Api::Chat),
    decoder: || Box::new(ollama::StreamDecoder::new("p", ollama::Api::Chat)),
    write_stream: |events| {
        let mut encoder = ollama::StreamEncoder::new(head(), ollama::Api::Chat);
        events.iter().flat_map(|event| encoder.push(event)).collect()
    },
    write_error: ollama::encode_error,
    embed: Some(Embed {
        read: ollama::decode_embed,
        write: |request| ollama::encode_embed(request, MODEL),
        read_reply: |body| ollama::decode_embed_reply(body, "p"),
        write_reply: |answer| ollama::encode_embed_reply(answer, "asked-model"),
    }),
    others: &[
        |body| drop(ollama::decode_tags(body, "p")),
        |body| drop(ollama::decode_ps(body, "p")),
        |body| drop(ollama::decode_show(body, tollgate_types::ModelInfo::default())),
        |body| drop(ollama::asked_model(body)),
        |body| drop(ollama::decode_pull(&String::from_utf8_lossy(body), "p")),
    ],
};

const OLLAMA_GENERATE: Dialect = Dialect {
    api: ollama::GENERATE_API,
    read_request: |body| ollama::decode_generate(body).map(|asked| asked.request),
    write_request: |request| ollama::encode_generate(request, OLLAMA_TARGET).map(|(body, _)| body),
    read_reply: |body| ollama::decode_reply(body, "p", ollama::Api::Generate),
    write_reply: |answer| ollama::encode_reply(answer, &head(), ollama::Api::Generate),
    decoder: || Box::new(ollama::StreamDecoder::new("p", ollama::Api::Generate)),
    write_stream: |events| {
        let mut encoder = ollama::StreamEncoder::new(head(), ollama::Api::Generate);
        events.iter().flat_map(|event| encoder.push(event)).collect()
    },
    embed: Some(Embed {
        read: ollama::decode_embeddings,
        write: |request| ollama::encode_embed(request, MODEL),
        read_reply: |body| ollama::decode_embed_reply(body, "p"),
        write_reply: ollama::encode_embeddings_reply,
    }),
    others: &[],
    ..OLLAMA_CHAT
};
