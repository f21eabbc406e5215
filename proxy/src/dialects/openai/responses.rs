//! OpenAI's Responses API, as a server speaks it to a client and as a client speaks it to OpenAI
//! and the hosts that copied it.
//!
//! An answer is a list of items. A message item holds several parts of ours, so each of its parts
//! carries the item's own facts in `extras["openai_responses"]["item"]`; every other item is one
//! part. Items without common meaning are native. Reasoning and call signatures of other vendors
//! travel through a client sealed (see `seal`) and never reach OpenAI.
//! Field meanings: <https://platform.openai.com/docs/api-reference/responses>.

mod annotation;
mod content;
mod echo;
mod finish;
mod reasoning;
mod seal;
mod item;
mod usage;
mod tools;
mod decode_input;
mod decode_request;
mod encode_input;
mod encode_request;
mod progress;
mod stream_decoder;
mod reply;
mod stream_encoder;
mod events;

pub use decode_request::{ResponsesCall, decode_responses};
pub use echo::Echo;
pub use encode_request::{ResponsesTarget, encode_responses, is_patchable, patch_responses};
pub use reply::{decode_response, encode_response};
pub use stream_decoder::ResponsesDecoder;
pub use stream_encoder::ResponsesEncoder;

/// Name of the format in [`tollgate_types::Origin::api`] and native items.
pub const API: &str = "openai.responses";

/// The entry of `extras` that belongs to this dialect.
pub const NAMESPACE: &str = "openai_responses";

/// Native parts that stand inside a message's content, not beside it.
const CONTENT_API: &str = "openai.responses.content";

/// Where a part of a message item keeps the item's own facts among its extras.
const ITEM: &str = "item";

/// Extras of this dialect; none when there is nothing to keep.
fn extras_of(map: serde_json::Map<String, serde_json::Value>) -> tollgate_types::Extras {
    crate::dialects::fields::extras_of(NAMESPACE, map)
}
