//! The dialects, each with its six functions: requests, whole answers and streams, written and read.

use crate::kind::Kind;
use serde_json::{Value, json};
use tollgate::dialects::{
    anthropic, google, ollama,
    openai::{self, responses},
    stream::{Decoder, ReplyHead},
};
use tollgate_types::{
    Extras, Fold, GenerateRequest, GenerateResponse, Part, Result, StreamEvent, Warning, events_of,
};

/// A dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Chat,
    Responses,
    Anthropic,
    Google,
    Ollama,
    Native,
}

pub const CODECS: [Codec; 6] =
    [Codec::Chat, Codec::Responses, Codec::Anthropic, Codec::Google, Codec::Ollama, Codec::Native];

const OLLAMA: ollama::Api = ollama::Api::Chat;

fn head() -> ReplyHead {
    ReplyHead { id: "id_1".into(), created_s: 5, model: "m".into() }
}

impl Codec {
    pub fn api(self) -> &'static str {
        match self {
            Self::Chat => openai::CHAT_API,
            Self::Responses => responses::API,
            Self::Anthropic => anthropic::API,
            Self::Google => google::API,
            Self::Ollama => ollama::CHAT_API,
            Self::Native => "native",
        }
    }

    /// Its cases.
    pub fn golden(self) -> &'static str {
        match self {
            Self::Chat => include_str!("chat.json"),
            Self::Responses => include_str!("responses.json"),
            Self::Anthropic => include_str!("anthropic.json"),
            Self::Google => include_str!("google.json"),
            Self::Ollama => include_str!("ollama.json"),
            Self::Native => include_str!("native.json"),
        }
    }

    /// What its own parts of a kind carry besides the common fields.
    pub fn own_extras(self, kind: Kind) -> Extras {
        let thought = matches!(kind, Kind::ReasoningSigned | Kind::ReasoningEncrypted);
        let extras = match (self, kind) {
            (Self::Anthropic, Kind::ToolCallHosted) => {
                json!({"anthropic": {"type": "server_tool_use"}})
            }
            (Self::Responses, Kind::ToolCallHosted) => {
                json!({"openai_responses": {"type": "custom_tool_call", "id": "ctc_1"}})
            }
            (Self::Responses, _) if thought => json!({"openai_responses": {"id": "rs_1"}}),
            (Self::Google, Kind::ReasoningSigned) => {
                json!({"google": {"thought": true, "thoughtSignature": "c2lnbmVk"}})
            }
            _ => json!({}),
        };
        serde_json::from_value(extras).unwrap()
    }

    /// The turns of a request, as they are written.
    pub fn turns(self, body: &Value) -> &[Value] {
        let field = match self {
            Self::Responses => "input",
            Self::Google => "contents",
            _ => "messages",
        };
        body[field].as_array().unwrap()
    }

    /// What an answer says, as it is written.
    pub fn said(self, body: &Value) -> &Value {
        match self {
            Self::Chat => &body["choices"][0],
            Self::Responses => &body["output"],
            Self::Google => &body["candidates"][0],
            Self::Ollama => &body["message"],
            Self::Anthropic | Self::Native => &body["content"],
        }
    }

    pub fn write_request(self, request: &GenerateRequest) -> Result<(Value, Vec<Warning>)> {
        match self {
            Self::Chat => {
                let host = openai::Host::OpenAi;
                let target = openai::ChatTarget { model: "m", host, stream: false };
                openai::encode_chat(request, target)
            }
            Self::Responses => {
                let target = responses::ResponsesTarget { model: "m", stream: false };
                responses::encode_responses(request, target)
            }
            Self::Anthropic => {
                let target = anthropic::MessagesTarget {
                    model: "m",
                    default_max_output: None,
                    stream: false,
                };
                let encoded = anthropic::encode_messages_call(request, target)?;
                Ok((encoded.body, encoded.warnings))
            }
            Self::Google => {
                let platform = google::Platform::Gemini;
                google::encode_generate(request, google::Target { model: "m", platform })
            }
            Self::Ollama => {
                ollama::encode_chat(request, ollama::Target { model: "m", stream: false })
            }
            Self::Native => Ok((serde_json::to_value(request).unwrap(), Vec::new())),
        }
    }

    pub fn read_request(self, body: &Value) -> Result<GenerateRequest> {
        let bytes = body.to_string().into_bytes();
        Ok(match self {
            Self::Chat => openai::decode_chat(&bytes)?.request,
            Self::Responses => responses::decode_responses(&bytes)?.request,
            Self::Anthropic => anthropic::decode_messages_call(&bytes)?.request,
            Self::Google => google::decode_generate(&bytes, "m")?,
            Self::Ollama => ollama::decode_chat(&bytes)?.request,
            Self::Native => serde_json::from_slice(&bytes).unwrap(),
        })
    }

    pub fn write_whole(self, answer: &GenerateResponse) -> Value {
        match self {
            Self::Chat => openai::encode_reply(answer, &head()),
            Self::Responses => {
                responses::encode_response(answer, &head(), &responses::Echo::default())
            }
            Self::Anthropic => anthropic::encode_reply(answer, &head()),
            Self::Google => google::encode_reply(answer, &head()),
            Self::Ollama => ollama::encode_reply(answer, &head(), OLLAMA),
            Self::Native => serde_json::to_value(answer).unwrap(),
        }
    }

    pub fn read_whole(self, body: &Value) -> GenerateResponse {
        let bytes = body.to_string().into_bytes();
        let read = match self {
            Self::Chat => openai::decode_reply(&bytes, "p"),
            Self::Responses => responses::decode_response(&bytes, "p"),
            Self::Anthropic => anthropic::decode_reply(&bytes, "p"),
            Self::Google => google::decode_reply(&bytes, "p"),
            Self::Ollama => ollama::decode_reply(&bytes, "p", OLLAMA),
            Self::Native => Ok(serde_json::from_slice(&bytes).unwrap()),
        };
        read.unwrap()
    }

    /// The payloads of a stream; what a part says comes in two pieces.
    pub fn write_stream(self, answer: GenerateResponse) -> Vec<String> {
        let events = in_pieces(self, answer);
        let written: Vec<Value> = match self {
            Self::Chat => {
                let mut encoder = openai::StreamEncoder::new(head(), true);
                events.iter().flat_map(|event| encoder.push(event)).collect()
            }
            Self::Responses => {
                let echo = responses::Echo::default();
                let mut encoder = responses::ResponsesEncoder::new(head(), echo);
                events.iter().flat_map(|event| encoder.push(event)).collect()
            }
            Self::Anthropic => {
                let mut encoder = anthropic::StreamEncoder::new(head());
                events.iter().flat_map(|event| encoder.push(event)).collect()
            }
            Self::Google => {
                let mut encoder = google::StreamEncoder::new(head());
                events.iter().flat_map(|event| encoder.push(event)).collect()
            }
            Self::Ollama => {
                let mut encoder = ollama::StreamEncoder::new(head(), OLLAMA);
                events.iter().flat_map(|event| encoder.push(event)).collect()
            }
            Self::Native => {
                events.iter().map(|event| serde_json::to_value(event).unwrap()).collect()
            }
        };
        let mut payloads: Vec<String> = written.iter().map(Value::to_string).collect();
        payloads.extend((self == Self::Chat).then(|| "[DONE]".to_owned()));
        payloads
    }

    pub fn read_stream(self, payloads: &[String]) -> GenerateResponse {
        match self {
            Self::Chat => folded(openai::StreamDecoder::new("p"), payloads),
            Self::Responses => folded(responses::ResponsesDecoder::new("p"), payloads),
            Self::Anthropic => folded(anthropic::StreamDecoder::new("p"), payloads),
            Self::Google => folded(google::StreamDecoder::new("p"), payloads),
            Self::Ollama => folded(ollama::StreamDecoder::new("p", OLLAMA), payloads),
            Self::Native => fold(payloads.iter().map(|text| serde_json::from_str(text).unwrap())),
        }
    }
}

fn folded(mut decoder: impl Decoder, payloads: &[String]) -> GenerateResponse {
    let mut events = Vec::new();
    for payload in payloads {
        events.extend(decoder.push(payload).unwrap());
    }
    events.extend(decoder.end().unwrap());
    fold(events)
}

fn fold(events: impl IntoIterator<Item = StreamEvent>) -> GenerateResponse {
    let mut fold = Fold::new();
    for event in events {
        fold.push(event).unwrap();
    }
    fold.finish().unwrap()
}

/// The events of an answer as a provider streams it: parts open empty, grow, and end with what only
/// their end can tell.
fn in_pieces(codec: Codec, answer: GenerateResponse) -> Vec<StreamEvent> {
    events_of(answer)
        .into_iter()
        .flat_map(|event| match event {
            StreamEvent::PartStart { index, part } => opened(codec, index, part),
            StreamEvent::PartEnd { .. } => Vec::new(),
            event => vec![event],
        })
        .collect()
}

fn opened(codec: Codec, index: u32, mut part: Part) -> Vec<StreamEvent> {
    let text = part.growing().map(std::mem::take).unwrap_or_default();
    let (mut signature, mut citations, mut logprobs) = (None, Vec::new(), Vec::new());
    let mut extras = Extras::new();
    match &mut part {
        Part::Text(text) => {
            citations = std::mem::take(&mut text.citations);
            logprobs = std::mem::take(&mut text.logprobs);
        }
        Part::Reasoning(thought) => {
            signature = thought.signature.take();
            // Google signs a thought at its end, the others name it at its start.
            if codec == Codec::Google {
                extras = std::mem::take(&mut thought.extras);
            }
        }
        _ => {}
    }
    let mut events = vec![StreamEvent::PartStart { index, part }];
    let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (first, second) = text.split_at(half);
    events.extend((!first.is_empty()).then(|| StreamEvent::delta(index, first)));
    if !second.is_empty() {
        events.push(StreamEvent::PartDelta { index, delta: second.to_owned(), logprobs });
    }
    events.push(StreamEvent::PartEnd { index, signature, citations, extras });
    events
}
