//! One logical call: built once, attempted as often as its retry policy says.

use crate::{
    answer,
    events::{self, Limits},
    failure,
    retry::RetryPolicy,
};
use bytes::Bytes;
use reqwest::{Client, Method, Response, Url, header::HeaderMap};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_types::{EventStream, Result, wire::header::RETRY_COUNT};

/// How long calls may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// The caller's own limit of the whole call.
    pub(crate) call: Option<Duration>,
    /// Without one: until a whole answer is here, or a stream begins.
    pub(crate) total: Duration,
    /// Between two pieces of a stream.
    pub(crate) idle: Duration,
}

/// Everything that the attempts of one call have in common, the idempotency key above all.
pub(crate) struct Call {
    pub(crate) http: Client,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeouts: Timeouts,
}

impl Call {
    /// The whole answer, read as JSON. A body that breaks midway is tried again like a connection
    /// that never came: the idempotency key keeps the call from running twice.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<T> {
        self.retry.run(self.begin_by(), |tried| self.whole(tried)).await
    }

    /// The answer as a stream. Attempts end when it begins.
    pub(crate) async fn stream(self) -> Result<EventStream> {
        let deadline = self.timeouts.call.and_then(from_now);
        let response = self.retry.run(self.begin_by(), |tried| self.attempt(tried)).await?;
        events::read(response, Limits { idle: self.timeouts.idle, deadline })
    }

    fn begin_by(&self) -> Option<Instant> {
        from_now(self.timeouts.call.unwrap_or(self.timeouts.total))
    }

    async fn whole<T: DeserializeOwned>(&self, tried: u32) -> Result<T> {
        answer::read(self.attempt(tried).await?).await
    }

    async fn attempt(&self, tried: u32) -> Result<Response> {
        let mut headers = self.headers.clone();
        headers.insert(RETRY_COUNT, tried.into());
        let mut request = self.http.request(self.method.clone(), self.url.clone()).headers(headers);
        if let Some(body) = &self.body {
            request = request.body(body.clone());
        }
        let response = request.send().await.map_err(failure::transport)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(answer::refusal(response).await)
    }
}

/// A limit too far away to be a point in time is none.
fn from_now(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}
