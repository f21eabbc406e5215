//! Anthropic as a provider.

use super::http::{HttpOptions, Transport};
use std::sync::Arc;
use tollgate_types::{BoxFuture, Error, EventStream, GenerateRequest, Provider, Result};

/// The vendor's own address.
pub const BASE_URL: &str = "https://api.anthropic.com/v1";

/// An upstream. A request's `model` is the upstream's bare model id.
#[derive(Clone, Debug)]
pub struct Anthropic {
    name: Arc<str>,
    transport: Transport,
}

impl Anthropic {
    /// Prepares connections; none is opened yet.
    ///
    /// # Errors
    /// `invalid_request` for a base URL or key that cannot be sent, or when the base URL is https
    /// and the system has no certificates.
    pub fn new(options: HttpOptions) -> Result<Self> {
        let transport = Transport::new(&options)?;
        Ok(Self { name: options.name.into(), transport })
    }
}

impl Provider for Anthropic {
    fn name(&self) -> &str {
        &self.name
    }

    fn stream(&self, _: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        Box::pin(async { Err(Error::unsupported("generation")) })
    }
}
