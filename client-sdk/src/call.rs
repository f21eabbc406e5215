//! One logical call: built once, attempted as often as its retry policy says.

use crate::{
    failure, resume,
    retry::RetryPolicy,
    run::Lease,
    transport::{Ask, Opened, RunName, Transport},
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
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
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) ask: Ask,
    /// The call's own credential; absent: the provider's.
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeouts: Timeouts,
    /// The idempotency key of a call that outlives its connections.
    pub(crate) resumable: Option<String>,
}

impl Call {
    /// The whole answer, read as JSON. A body that breaks midway is tried again like a connection
    /// that never came: the idempotency key keeps the call from running twice.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<T> {
        let lease = self.lease();
        let ask = async |tried| self.heard(|| self.whole(tried)).await;
        let answer = self.retry.run(self.begin_by(), ask).await;
        if let Some(lease) = lease {
            answer.as_ref().map_or_else(|error| lease.failed(error), |_| lease.end());
        }
        answer
    }

    /// The answer as a stream. Attempts end when it begins.
    pub(crate) async fn stream(self) -> Result<EventStream> {
        let deadline = self.timeouts.call.and_then(from_now);
        let lease = self.lease().map(Arc::new);
        let ask = async |tried| self.heard(|| self.open(tried)).await;
        let opened = self.retry.run(self.begin_by(), ask).await;
        if let (Err(error), Some(lease)) = (&opened, &lease) {
            lease.failed(error);
        }
        Ok(resume::read(self, opened?, lease, deadline))
    }

    /// Joins the call's run again.
    pub(crate) async fn resume(
        &self,
        run: &RunName,
        after: Option<u64>,
        deadline: Option<Instant>,
    ) -> Result<Opened> {
        let join = async |tried| {
            let headers = self.head(tried);
            let joined = self.transport.resume(run, after, &headers);
            timeout(self.timeouts.idle, joined).await.unwrap_or_else(|_| Err(failure::unanswered()))
        };
        self.retry.joining().run(deadline, join).await
    }

    fn lease(&self) -> Option<Lease> {
        let key = self.resumable.clone()?;
        Some(Lease::new(Arc::clone(&self.transport), self.head(0), key))
    }

    fn begin_by(&self) -> Option<Instant> {
        from_now(self.timeouts.call.unwrap_or(self.timeouts.total))
    }

    /// Makes an attempt; where the call outlives its connections, again whenever one says nothing
    /// for long: it may be dead, and its idempotency key finds the run that goes on at the server.
    /// The patience doubles, because it may as well be a model that thinks. None of this counts as a
    /// retry: the deadline ends it.
    async fn heard<T, F: Future<Output = Result<T>>>(&self, attempt: impl Fn() -> F) -> Result<T> {
        if self.resumable.is_none() || self.transport.notices_silence() {
            return attempt().await;
        }
        let mut patience = self.timeouts.idle;
        loop {
            if let Ok(answered) = timeout(patience, attempt()).await {
                return answered;
            }
            tracing::debug!(?patience, "nothing was heard: asking for the same call again");
            patience = patience.saturating_mul(2);
        }
    }

    async fn whole<T: DeserializeOwned>(&self, tried: u32) -> Result<T> {
        let reply = self.transport.ask(&self.attempt(tried)).await?;
        serde_json::from_slice(&reply.body)
            .map_err(|error| reply.head.unreadable("the answer", &error))
    }

    async fn open(&self, tried: u32) -> Result<Opened> {
        self.transport.stream(&self.attempt(tried)).await
    }

    fn attempt(&self, tried: u32) -> Ask {
        let mut ask = self.ask.clone();
        ask.headers.extend(self.head(tried));
        ask
    }

    /// What every request of the call carries, those about its run too.
    fn head(&self, tried: u32) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.extend(self.authorization.clone().map(|own| (AUTHORIZATION, own)));
        headers.insert(RETRY_COUNT, tried.into());
        headers
    }
}

/// A limit too far away to be a point in time is none.
fn from_now(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}
