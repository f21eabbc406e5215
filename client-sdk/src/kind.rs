//! The ways to reach a server that can be chosen from.

/// How a server is reached. Retries, resuming, cancelling and errors are the same for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// HTTP, streams as server-sent events: passes every proxy.
    #[default]
    Http,
    /// gRPC over HTTP/2: all calls share one connection, each with a flow control of its own. The
    /// address of the server's `[grpc]` listener is given to
    /// [`Builder::grpc_server`](crate::Builder::grpc_server).
    #[cfg(feature = "grpc")]
    Grpc,
}
