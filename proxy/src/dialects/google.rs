//! Google's wire format: generateContent, embeddings, models, token counts and errors of the Gemini
//! API and of Vertex AI, as a server speaks it to a client and as a client speaks it to Google.
//!
//! Pure: ids and times are parameters. What has no common meaning travels in `extras["google"]`
//! and in native items, both ways. Field meanings: <https://ai.google.dev/api/generate-content>.

mod names;
mod schema;
mod ids;
mod mend;
mod usage;
mod finish;
mod logprobs;
mod grounding;
mod partial_args;
mod media;
mod function;
mod tools;
mod config;
mod parts;
mod decode_message;
mod decode_request;
mod encode_config;
mod encode_message;
mod encode_request;
mod patch_request;
mod encode_error;
mod calls;
mod stream_decoder;
mod stream_encoder;
mod reply;
mod embeddings;
mod predictions;
mod models;
mod count;

pub use count::{decode_count, decode_count_reply, encode_count, encode_count_reply};
pub use decode_request::decode_generate;
pub use embeddings::{
    decode_embed, decode_embed_batch, decode_embed_reply, encode_embed, encode_embed_reply,
};
pub use encode_error::encode_error;
pub use encode_request::{Platform, Target, encode_generate};
pub use mend::with_ids;
pub use models::{decode_models, encode_model, encode_models};
pub use patch_request::patch_generate;
pub use predictions::{decode_predictions, encode_instances};
pub use reply::{decode_reply, encode_reply};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::StreamEncoder;

/// Name of the format in [`tollgate_types::Origin::api`] and native items.
pub const API: &str = "google.generate_content";

/// The entry of `extras` that belongs to this dialect.
pub const NAMESPACE: &str = "google";

/// Extras of this dialect; none when there is nothing to keep.
fn extras_of(map: serde_json::Map<String, serde_json::Value>) -> tollgate_types::Extras {
    crate::dialects::fields::extras_of(NAMESPACE, map)
}
