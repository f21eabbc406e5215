//! Anthropic's wire format: messages, token counts, models and errors, as a server speaks it to a
//! client and as a client speaks it to Anthropic and the gateways that are compatible with it.
//!
//! Pure: ids and times are parameters. What has no common meaning travels in `extras["anthropic"]`
//! and in native items, both ways. Field meanings: <https://platform.claude.com/docs/en/api/messages>.

mod usage;
mod finish;
mod citation;
mod media;
mod blocks;
mod tools;
mod thinking;
mod decode_message;
mod decode_request;
mod encode_message;
mod encode_request;
mod encode_error;
mod open_block;
mod stream_decoder;
mod stream_encoder;
mod reply;
mod count;
mod models;

pub use count::{decode_count, decode_count_reply, encode_count, encode_count_reply, patch_count};
pub use decode_request::{MessagesCall, decode_messages_call};
pub use encode_error::encode_error;
pub use encode_request::{Encoded, MessagesTarget, encode_messages_call, patch_messages};
pub use models::{decode_models, encode_model, encode_models};
pub use reply::{decode_reply, encode_reply};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::StreamEncoder;

/// Name of the messages format in [`tollgate_types::Origin::api`] and native items.
pub const API: &str = "anthropic.messages";

/// Name of the format of requests that only count tokens.
pub const COUNT_API: &str = "anthropic.count_tokens";

/// The entry of `extras` that belongs to this dialect.
pub const NAMESPACE: &str = "anthropic";

/// The version of the API that requests from other dialects ask for; there is no newer one
/// (<https://platform.claude.com/docs/en/api/versioning>).
pub const VERSION: &str = "2023-06-01";

/// Extras of this dialect; none when there is nothing to keep.
fn extras_of(map: serde_json::Map<String, serde_json::Value>) -> tollgate_types::Extras {
    crate::dialects::fields::extras_of(NAMESPACE, map)
}
