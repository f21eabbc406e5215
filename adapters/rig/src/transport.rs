//! The way from rig to a provider: there is no wire in between, a provider is the transport.
#![expect(clippy::result_large_err, reason = "the error that rig's traits ask for")]

use crate::{failure::failed, wire::Tollgate};
use futures_util::{StreamExt, stream};
use rig_core::{
    driver::{Exchange, Opened, Opening, Transport},
    wire::Mode,
};
use std::{fmt, sync::Arc};
use tollgate_types::{Error, GenerateRequest, Provider, Result, StreamEvent, events_of};

/// A provider as rig's transport. Dropping rig's stream or future cancels the call.
#[derive(Clone)]
pub struct Backend {
    provider: Arc<dyn Provider>,
}

impl Backend {
    /// Sends rig's requests to this provider.
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self { provider }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Backend").field(&self.provider.name()).finish()
    }
}

impl Transport<Tollgate> for Backend {
    fn send(&self, request: GenerateRequest, exchange: Exchange) -> Opening<StreamEvent> {
        let provider = self.provider.clone();
        Opening::new(async move {
            let opened = match exchange.mode {
                Mode::Unary => whole(&*provider, request).await,
                Mode::Streaming => streamed(&*provider, request).await,
            };
            opened.map_err(|error| failed(&error))
        })
    }
}

async fn whole(provider: &dyn Provider, request: GenerateRequest) -> Result<Opened<StreamEvent>> {
    let events = events_of(provider.generate(request).await?);
    let id = events.first().and_then(request_id);
    Ok(Opened::new(stream::iter(events.into_iter().map(Ok))).with_request_id(id))
}

/// The first event is awaited, because it has the request id.
async fn streamed(
    provider: &dyn Provider,
    request: GenerateRequest,
) -> Result<Opened<StreamEvent>> {
    let mut events = provider.stream(request).await?;
    let first = match events.next().await {
        Some(event) => event?,
        None => return Err(Error::new(tollgate_types::ErrorKind::StreamInterrupted, "no event")),
    };
    let id = request_id(&first);
    let rest = events.map(|event| event.map_err(|error| failed(&error)));
    Ok(Opened::new(stream::iter([Ok(first)]).chain(rest)).with_request_id(id))
}

fn request_id(event: &StreamEvent) -> Option<String> {
    match event {
        StreamEvent::Start { request_id, .. } => request_id.clone(),
        _ => None,
    }
}
