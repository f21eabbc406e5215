//! The ways from a client to the server: whatever holds over one must hold over the others.

use tollgate_client::{Builder, TransportKind};

/// A way from a client to the server; it is told the address of the listener of gRPC.
pub type Transport = (&'static str, fn(Builder, &str) -> Builder);

/// All of them.
pub const TRANSPORTS: &[Transport] = &[
    ("http", |builder, _| builder),
    ("websocket", |builder, _| builder.transport(TransportKind::WebSocket)),
    #[cfg(feature = "grpc")]
    ("grpc", |builder, grpc| builder.transport(TransportKind::Grpc).grpc_server(grpc)),
];
