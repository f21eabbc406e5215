//! A Tollgate server as a [`Provider`].

mod delegate;

use crate::{
    Builder, RetryPolicy, UsageQuery, address,
    call::{Call, Timeouts},
    headers, tls,
};
use bytes::Bytes;
use reqwest::{
    Client, Method, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Serialize;
use std::{fmt, sync::Arc};
use tollgate_types::{
    BoxFuture, BudgetStatus, CallOptions, EmbedRequest, EmbedResponse, Error, EventStream,
    GenerateRequest, GenerateResponse, ModelInfo, Provider, Result, UsageReport,
    wire::{BudgetList, ModelList, TokenCount, header, path},
};

/// A Tollgate server as a [`Provider`]. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct RemoteProvider(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) http: Client,
    pub(crate) server: Url,
    pub(crate) authorization: HeaderValue,
    pub(crate) tags: HeaderMap,
    pub(crate) name: String,
    pub(crate) model: Option<String>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeouts: Timeouts,
}

impl RemoteProvider {
    /// Starts to put a provider together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn of(inner: Inner) -> Self {
        Self(Arc::new(inner))
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

    fn get(&self, path: &str, query: &[(&str, String)]) -> Call {
        let mut headers = self.0.tags.clone();
        headers.insert(AUTHORIZATION, self.0.authorization.clone());
        self.call(Method::GET, address::join(&self.0.server, path, query), headers)
    }

    fn post(&self, path: &str, body: &impl Serialize, options: &CallOptions) -> Result<Call> {
        let mut headers = self.0.tags.clone();
        headers::add_tags(&mut headers, &options.tags)?;
        let authorization = match &options.credential {
            Some(key) => headers::bearer(key)?,
            None => self.0.authorization.clone(),
        };
        let key = match &options.idempotency_key {
            Some(key) => headers::idempotency_key(key)?,
            None => headers::idempotency_key(&tls::random_id()?)?,
        };
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(header::IDEMPOTENCY_KEY, key);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = serde_json::to_vec(body).map_err(|error| {
            Error::invalid("request", "the request is not JSON").with_source(error)
        })?;

        let mut call = self.call(Method::POST, address::join(&self.0.server, path, &[]), headers);
        call.body = Some(Bytes::from(body));
        call.timeouts.call = options.timeout;
        call.retry.max_retries = options.max_retries.unwrap_or(call.retry.max_retries);
        Ok(call)
    }

    fn call(&self, method: Method, url: Url, headers: HeaderMap) -> Call {
        let Inner { http, retry, timeouts, .. } = &*self.0;
        let (http, retry, timeouts) = (http.clone(), *retry, *timeouts);
        Call { http, method, url, headers, body: None, retry, timeouts }
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

    fn ask(&self, path: &str, mut request: GenerateRequest) -> Result<Call> {
        request.model = self.model(request.model)?;
        self.post(path, &request, &request.options)
    }
}

impl Provider for RemoteProvider {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        Box::pin(async move {
            let mut call = self.ask(path::STREAM, request)?;
            call.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
            call.stream().await
        })
    }

    fn generate(&self, request: GenerateRequest) -> BoxFuture<'_, Result<GenerateResponse>> {
        Box::pin(async move { self.ask(path::GENERATE, request)?.answer().await })
    }

    fn embed(&self, mut request: EmbedRequest) -> BoxFuture<'_, Result<EmbedResponse>> {
        Box::pin(async move {
            request.model = self.model(request.model)?;
            self.post(path::EMBED, &request, &request.options)?.answer().await
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
