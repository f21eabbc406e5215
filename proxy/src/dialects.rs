//! Pure translation between each vendor's wire format and the common vocabulary; no I/O.
//!
//! Each vendor is one codec that is used in both directions: for its own clients and for its
//! servers. The private modules are what the codecs share.

mod fields;
mod merge;
mod mask;
mod data_url;
mod counts;
mod honoured;
mod reserved;
mod waiting;
pub mod upstream_error;
pub mod call_id;
pub mod patch;
pub mod stream;
pub mod openai;
pub mod ollama;
pub mod anthropic;
pub mod google;
