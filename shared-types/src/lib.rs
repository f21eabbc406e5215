//! The words that the Tollgate server, its client and every agent share.
//!
//! One object-safe trait ([`Provider`]), the messages that go in, the events that come out, one
//! error type that crosses the wire, usage in disjoint token kinds and money as integers.
//! No I/O, no runtime, no HTTP: everything here can be used by any program.
//!
//! Start with [`Provider`], then [`GenerateRequest`], [`StreamEvent`] and [`Fold`].
#![warn(missing_docs)]

mod money;
mod lenient;
mod secret;
mod usage;
mod budget;
mod delegation;
mod error;
mod extras;
mod part;
mod message;
mod options;
mod tool;
mod request;
mod schema;
mod response;
mod event;
mod fold;
mod stream;
mod embed;
mod estimate;
mod model;
mod provider;
mod report;
mod sse;
mod token;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wire;
#[cfg(feature = "proto")]
pub mod proto;

pub use budget::{BudgetStatus, Resource, SubBudget, Window};
pub use delegation::{DelegateRequest, DelegatedKey, DelegatedPermissions};
pub use embed::{EmbedRequest, EmbedResponse};
pub use error::{Blame, Error, ErrorBody, ErrorKind, Result};
pub use estimate::{BudgetEstimate, Estimate};
pub use event::StreamEvent;
pub use extras::Extras;
pub use fold::{Fold, events_of};
pub use message::{Message, Origin, Role};
pub use model::{Capability, Feature, LongPrice, ModelInfo, ModelPrice};
pub use money::{MoneyParseError, NanoUsd};
pub use options::{CallOptions, Original};
pub use part::{
    Citation, Media, MediaSource, NativeItem, Part, Reasoning, Refusal, Text, TokenLogprob,
    ToolCall, ToolResult, TopLogprob,
};
pub use provider::{BoxFuture, Provider};
pub use report::{UsageGroup, UsageReport, UsageRow};
pub use request::{
    GenerateRequest, Modality, OnUnsupported, OutputFormat, ReasoningOptions, Sampling,
};
pub use response::{
    CallLimits, Finish, FinishReason, GenerateResponse, RateLimit, Receipt, Warning,
};
pub use secret::Secret;
pub use sse::{EventTooLarge, SseDecoder};
pub use stream::{EventSource, EventStream};
pub use token::{TokenGrant, TokenRequest};
pub use tool::{FunctionTool, HostedTool, Tool, ToolChoice};
pub use usage::{GPU_MS, Usage};
