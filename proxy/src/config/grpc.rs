//! `[grpc]`: the listener of gRPC.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The listener of gRPC. Without an address there is none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcSettings {
    /// Address and port; port 0 takes a free one, which is printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
}

impl GrpcSettings {
    pub(super) fn validate(&self) -> Result<(), String> {
        match self.address()? {
            Some(_) if !cfg!(feature = "grpc") => {
                Err("grpc.listen is set, and this build has no gRPC: build with the feature grpc"
                    .to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The address to listen on, if any.
    ///
    /// # Errors
    /// When it is not `ip:port`.
    pub fn address(&self) -> Result<Option<SocketAddr>, String> {
        let Some(listen) = &self.listen else { return Ok(None) };
        listen
            .parse()
            .map(Some)
            .map_err(|_| format!("grpc.listen is {listen:?}, write it like \"127.0.0.1:8788\""))
    }
}
