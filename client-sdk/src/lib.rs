//! The thin client: [`RemoteProvider`] answers the same [`Provider`](tollgate_types::Provider)
//! trait as every model backend, over HTTP to a Tollgate server.
//!
//! Code that holds an `Arc<dyn Provider>` becomes remote by changing the line that builds it:
//!
//! ```no_run
//! use std::sync::Arc;
//! use tollgate_types::{GenerateRequest, Message, Provider};
//!
//! # async fn ask() -> tollgate_types::Result<()> {
//! let provider: Arc<dyn Provider> = Arc::new(tollgate_client::RemoteProvider::from_env()?);
//!
//! let request = GenerateRequest::new("openai/gpt-4o-mini", vec![Message::user("Hello")]);
//! let answer = provider.generate(request).await?;
//! println!("{}", answer.text());
//! # Ok(())
//! # }
//! ```
//!
//! A call is tried again where that can help, under one idempotency key, so that it never runs or
//! bills twice. Dropping a future or a stream closes its connection, which cancels the call at the
//! server; nothing is left running. A resumable call outlives a connection that breaks: its stream
//! is joined again where it broke. No API key ever appears in an error or a `Debug` output.
//!
//! A tour with every setting, error and cost is in `docs/client.md`.
#![warn(missing_docs)]

/// The tour's snippets, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../docs/client.md")]
mod tour {}

/// The same of tokens.
#[cfg(doctest)]
#[doc = include_str!("../../docs/tokens.md")]
mod tokens_tour {}

mod failure;
mod retry;
mod tls;
mod headers;
mod events;
mod transport;
mod token;
mod credentials;
mod authorized;
mod address;
mod answer;
mod http;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "websocket")]
mod websocket;
mod run;
mod call;
mod resume;
mod query;
mod span;
mod builder;
mod env;
mod remote;
mod delegate;
#[cfg(feature = "blocking")]
pub mod blocking;

pub use builder::Builder;
pub use query::{GroupBy, UsageQuery};
pub use remote::RemoteProvider;
pub use retry::RetryPolicy;
pub use token::{Token, TokenSource};
pub use transport::TransportKind;
