//! A Tollgate server as a [`Provider`].

use crate::{
    Builder, RetryPolicy, UsageQuery,
    call::{Call, Timeouts},
    credentials::Credentials,
    headers,
    span::CallSpan,
    tls,
    transport::{Ask, Transport},
};
use bytes::Bytes;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Serialize;
use std::{fmt, sync::Arc};
use tollgate_types::{
    BoxFuture, BudgetStatus, CallOptions, EmbedRequest, EmbedResponse, Error, Estimate,
    EventStream, GenerateRequest, GenerateResponse, ModelInfo, Provider, Result, UsageReport,
    wire::{BudgetList, ModelList, TokenCount, header, path},
};

/// A Tollgate server as a [`Provider`]. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct RemoteProvider(Arc<Inner>);

#[derive(Clone)]
pub(crate) struct Inner {
    /// Adds the credential to what has none.
    pub(crate) transport: Arc<dyn Transport>,
    /// The same without.
    pub(crate) bare: Arc<dyn Transport>,
    /// For people.
    pub(crate) server: Url,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) tags: HeaderMap,
    pub(crate) name: String,
    pub(crate) model: Option<String>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeouts: Timeouts,
    pub(crate) resumable: bool,
}

impl RemoteProvider {
    /// Starts to put a provider together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    /// What the key's owner has used.
    ///
    /// # Errors
    /// Whatever the server refuses, `invalid_request` for a span of time that it cannot read among
    /// it; `connection` when it cannot be reached.
    pub async fn usage(&self, query: UsageQuery) -> Result<UsageReport> {
        self.get(path::USAGE, &query.pairs()).answer().await
    }

    /// The budgets that the key's calls are charged to, as they are now.
    ///
    /// # Errors
    /// Whatever the server refuses; `connection` when it cannot be reached.
    pub async fn budgets(&self) -> Result<Vec<BudgetStatus>> {
        let list: BudgetList = self.get(path::BUDGETS, &[]).answer().await?;
        Ok(list.budgets)
    }

    /// What a request would cost, at most and likely, and whether the key's budgets would pay for
    /// it. Nothing is run, set aside or charged; the key's rate of requests counts it.
    ///
    /// # Errors
    /// Why the request would not be run, budgets apart: those are told in the estimate.
    /// `unsupported` by servers that are too old to tell.
    pub async fn estimate(&self, request: GenerateRequest) -> Result<Estimate> {
        self.ask(path::ESTIMATE, request)?.answer().await
    }

    pub(crate) fn get(&self, path: &str, query: &[(&'static str, String)]) -> Call {
        let Inner { transport, tags, retry, timeouts, .. } = &*self.0;
        Call {
            transport: Arc::clone(transport),
            ask: Ask {
                method: Method::GET,
                path: path.to_owned(),
                query: query.to_vec(),
                headers: tags.clone(),
                body: None,
            },
            authorization: None,
            retry: *retry,
            timeouts: *timeouts,
            resumable: None,
        }
    }

    pub(crate) fn post(
        &self,
        path: &str,
        body: &impl Serialize,
        options: &CallOptions,
    ) -> Result<Call> {
        let mut call = self.get(path, &[]);
        let key = match &options.idempotency_key {
            Some(key) => key.clone(),
            None => tls::random_id()?,
        };
        let headers = &mut call.ask.headers;
        headers::add_tags(headers, &options.tags)?;
        headers.insert(header::IDEMPOTENCY_KEY, headers::idempotency_key(&key)?);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &options.credential {
            call.authorization = Some(headers::bearer(key)?);
        }
        let body = serde_json::to_vec(body).map_err(|error| {
            Error::invalid("request", "the request is not JSON").with_source(error)
        })?;
        call.ask.method = Method::POST;
        call.ask.body = Some(Bytes::from(body));
        call.timeouts.call = options.timeout;
        call.retry.max_retries = options.max_retries.unwrap_or(call.retry.max_retries);
        call.resumable = Some(key);
        Ok(call)
    }

    /// The model to ask: the request's, else the provider's own.
    fn model(&self, asked: String) -> Result<String> {
        match &self.0.model {
            _ if !asked.is_empty() => Ok(asked),
            Some(model) => Ok(model.clone()),
            None => {
                Err(Error::invalid("model", "neither the request nor the client names a model"))
            }
        }
    }

    /// The request with its model.
    fn addressed(&self, mut request: GenerateRequest) -> Result<GenerateRequest> {
        request.model = self.model(request.model)?;
        Ok(request)
    }

    fn ask(&self, path: &str, request: GenerateRequest) -> Result<Call> {
        let request = self.addressed(request)?;
        let mut call = self.post(path, &request, &request.options)?;
        let resumable = request.options.resumable.unwrap_or(self.0.resumable);
        if resumable && matches!(path, path::STREAM | path::GENERATE) {
            call.ask.headers.insert(header::RESUMABLE, HeaderValue::from_static("true"));
        } else {
            call.resumable = None;
        }
        Ok(call)
    }
}

impl Provider for RemoteProvider {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        Box::pin(async move {
            let request = self.addressed(request)?;
            let span = CallSpan::chat(&self.0.server, &request, true);
            let events =
                span.run(async { self.ask(path::STREAM, request)?.stream().await }).await?;
            Ok(span.watch(events))
        })
    }

    fn generate(&self, request: GenerateRequest) -> BoxFuture<'_, Result<GenerateResponse>> {
        Box::pin(async move {
            let request = self.addressed(request)?;
            let span = CallSpan::chat(&self.0.server, &request, false);
            span.run(async { self.ask(path::GENERATE, request)?.answer().await }).await
        })
    }

    fn embed(&self, mut request: EmbedRequest) -> BoxFuture<'_, Result<EmbedResponse>> {
        Box::pin(async move {
            request.model = self.model(request.model)?;
            let span = CallSpan::new("embeddings", &self.0.server, &request.model);
            let call = async {
                let mut call = self.post(path::EMBED, &request, &request.options)?;
                call.resumable = None;
                call.answer().await
            };
            span.run(call).await
        })
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<ModelInfo>>> {
        Box::pin(async move {
            let list: ModelList = self.get(path::MODELS, &[]).answer().await?;
            Ok(list.models)
        })
    }

    fn count_tokens(&self, request: GenerateRequest) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let count: TokenCount = self.ask(path::COUNT_TOKENS, request)?.answer().await?;
            Ok(count.input_tokens)
        })
    }
}

/// Shows where calls go, never the key.
impl fmt::Debug for RemoteProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteProvider")
            .field("name", &self.0.name)
            .field("server", &self.0.server.as_str())
            .field("model", &self.0.model)
            .finish_non_exhaustive()
    }
}
