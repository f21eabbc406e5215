//! OpenAI's wire format: chat completions, embeddings, models and errors, as a server speaks it to
//! a client and as a client speaks it to OpenAI and the many hosts that are compatible with it.
//!
//! Pure: ids and times are parameters. What has no common meaning travels in `extras["openai"]`
//! and in native items, both ways. Field meanings: <https://platform.openai.com/docs/api-reference/chat>.

mod usage;
mod finish;
pub(in crate::dialects) mod logprobs;
mod citation;
mod media;
mod reasoning;
mod custom;
mod details;
mod tools;
mod legacy;
mod decode_message;
mod decode_request;
mod encode_message;
mod encode_request;
mod decode_error;
mod encode_error;
mod calls;
mod mend;
mod stream_decoder;
mod stream_encoder;
mod reply;
mod embeddings;
mod models;
pub mod responses;

pub use decode_request::{ChatCall, decode_chat};
pub use embeddings::{
    EmbedCall, Encoding, decode_embed, decode_embed_reply, encode_embed, encode_embed_reply,
};
pub use encode_error::encode_error;
pub use encode_request::{ChatTarget, Host, encode_chat, patch_chat};
pub use legacy::as_functions;
pub use mend::with_ids;
pub use models::{decode_models, encode_model, encode_models};
pub use reply::{decode_reply, decode_told_reply, encode_reply};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::StreamEncoder;
pub use usage::without_usage;

/// Name of the chat completions format in [`tollgate_types::Origin::api`] and native items.
pub const CHAT_API: &str = "openai.chat";

/// The entry of `extras` that belongs to this dialect.
pub const NAMESPACE: &str = "openai";

/// Extras of this dialect; none when there is nothing to keep.
fn extras_of(map: serde_json::Map<String, serde_json::Value>) -> tollgate_types::Extras {
    crate::dialects::fields::extras_of(NAMESPACE, map)
}
