//! The ways from a client to the server: whatever holds over one must hold over the others.

use tollgate_client::{Builder, TransportKind};

/// A way from a client to the server.
pub type Transport = (&'static str, fn(Builder) -> Builder);

/// All of them.
pub const TRANSPORTS: [Transport; 2] = [
    ("http", |builder| builder),
    ("websocket", |builder| builder.transport(TransportKind::WebSocket)),
];
