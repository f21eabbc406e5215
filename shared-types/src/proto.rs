//! The vocabulary as protobuf messages: `tollgate.v1`, and the health service of gRPC.
//!
//! The messages are made from `proto/*.proto` and kept in the repository, so that building needs no
//! `protoc`; a test compares them. Everything else here turns the vocabulary into messages and back
//! without a loss: `From` on the way out, `TryFrom` on the way in, with the path of a wrong field.

mod field;
mod part;
mod request;
mod receipt;
mod answer;
mod event;
mod list;
mod run;

pub use event::{read_event, write_event};

/// The messages of `tollgate.v1`.
pub mod v1 {
    include!("../proto/generated/tollgate.v1.in");
}

/// The messages of `grpc.health.v1`.
pub mod health {
    include!("../proto/generated/grpc.health.v1.in");
}

/// A `FileDescriptorSet` of all of them.
pub const DESCRIPTORS: &[u8] = include_bytes!("../proto/generated/descriptors.bin");

/// Methods by the path of their HTTP request.
pub mod method {
    /// One answer, whole.
    pub const GENERATE: &str = "/tollgate.v1.Tollgate/Generate";
    /// One answer, as a stream.
    pub const STREAM: &str = "/tollgate.v1.Tollgate/Stream";
    /// Vectors.
    pub const EMBED: &str = "/tollgate.v1.Tollgate/Embed";
    /// Prompt tokens of a request.
    pub const COUNT_TOKENS: &str = "/tollgate.v1.Tollgate/CountTokens";
    /// Models that the caller may use.
    pub const LIST_MODELS: &str = "/tollgate.v1.Tollgate/ListModels";
    /// How a run stands.
    pub const GET_RUN: &str = "/tollgate.v1.Tollgate/GetRun";
    /// The events of a run.
    pub const RESUME_RUN: &str = "/tollgate.v1.Tollgate/ResumeRun";
    /// The end of a run.
    pub const CANCEL_RUN: &str = "/tollgate.v1.Tollgate/CancelRun";
    /// How the server is.
    pub const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
    /// How the server is, and when that changes.
    pub const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
}

/// Metadata that only gRPC has.
pub mod metadata {
    /// The whole error as JSON, beside the status that it became.
    pub const ERROR: &str = "tollgate-error-bin";
    /// Number of the event that the error is, in a stream.
    pub const EVENT_NUMBER: &str = "tollgate-event-number";
    /// Milliseconds to wait before a retry; negative: there shall be none.
    pub const RETRY_PUSHBACK: &str = "grpc-retry-pushback-ms";
    /// How long the caller waits.
    pub const TIMEOUT: &str = "grpc-timeout";
}
