//! Ollama's native wire format: chat, generate, embeddings, the model lists and errors, as a server
//! speaks it to a client and as a client speaks it to Ollama.
//!
//! Pure: times are parameters. What has no common meaning travels in `extras["ollama"]`; what
//! `generate` has beyond a chat is a native item, because no other API can honour it.
//! Field meanings: <https://docs.ollama.com/api>.

mod options;
mod images;
mod tools;
mod finish;
mod usage;
mod decode_message;
mod decode_request;
mod encode_message;
mod encode_request;
mod encode_generate;
mod patch_request;
mod encode_error;
mod stream_decoder;
mod said;
mod stream_encoder;
mod reply;
mod embeddings;
mod models;
mod show;
mod pull;

pub use decode_request::{Asked, decode_chat, decode_generate};
pub use embeddings::{
    decode_embed, decode_embed_reply, decode_embeddings, encode_embed, encode_embed_reply,
    encode_embeddings_reply,
};
pub use encode_error::encode_error;
pub use encode_generate::{encode_generate, needs_generate};
pub use encode_request::{Target, encode_chat};
pub use models::{RunningModel, decode_ps, decode_tags, encode_tags};
pub use patch_request::patch;
pub use pull::{PullProgress, decode_pull};
pub use reply::{decode_reply, encode_reply};
pub use said::Api;
pub use show::{asked_model, decode_show, encode_show};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::StreamEncoder;

/// Name of the chat format in [`tollgate_types::Origin::api`] and native items.
pub const CHAT_API: &str = "ollama.chat";

/// Name of the generate format.
pub const GENERATE_API: &str = "ollama.generate";

/// The entry of `extras` that belongs to this dialect.
pub const NAMESPACE: &str = "ollama";

/// Extras of this dialect; none when there is nothing to keep.
fn extras_of(map: serde_json::Map<String, serde_json::Value>) -> tollgate_types::Extras {
    crate::dialects::fields::extras_of(NAMESPACE, map)
}
