//! gRPC over real sockets: the real server, the real client, and a raw client that breaks the rules.
#![cfg(feature = "grpc")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on shall fail there, in its helper functions too"
)]

mod gate;
mod raw;
mod methods;
mod refusals;
mod hostile;
mod endings;
mod runs;
mod encrypted;
mod standard;
