//! The one trait of every model backend.

use crate::{
    EmbedRequest, EmbedResponse, Error, EventStream, GenerateRequest, GenerateResponse, ModelInfo,
    Result,
};
use std::{future::Future, pin::Pin, sync::Arc};

/// A boxed future, made once per call.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Any model backend: a vendor's API, llama.cpp in this process, a router over several, or
/// `RemoteProvider`. Object safe: hold it as `Arc<dyn Provider>`.
///
/// * Only [`stream`](Self::stream) is required; `generate` is the stream folded unless a backend
///   has a cheaper unary call.
/// * Dropping the future or the stream cancels the call; no implementation detaches work.
/// * Errors before the first event come from the future, later ones are the stream's last item.
/// * Behaviour composes by wrapping: a provider in, a provider out.
pub trait Provider: Send + Sync + 'static {
    /// Stable name for logs, metering and [`crate::Origin::provider`].
    fn name(&self) -> &str;

    /// Asks a model and streams its answer.
    ///
    /// # Errors
    /// Whatever went wrong before the first event.
    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>>;

    /// Asks a model and waits for the whole answer.
    ///
    /// # Errors
    /// Whatever went wrong; tokens delivered before are lost with it.
    fn generate(&self, request: GenerateRequest) -> BoxFuture<'_, Result<GenerateResponse>> {
        Box::pin(async move { self.stream(request).await?.collect().await })
    }

    /// Turns texts into vectors.
    ///
    /// # Errors
    /// `unsupported` unless the backend has embeddings.
    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<EmbedResponse>> {
        drop(request);
        Box::pin(async { Err(Error::unsupported("embeddings")) })
    }

    /// Lists the models that can be asked for.
    ///
    /// # Errors
    /// `unsupported` unless the backend has a list.
    fn models(&self) -> BoxFuture<'_, Result<Vec<ModelInfo>>> {
        Box::pin(async { Err(Error::unsupported("a list of models")) })
    }

    /// Counts the prompt tokens that a request would use, exactly.
    ///
    /// # Errors
    /// `unsupported` unless the backend can count without asking the model.
    fn count_tokens(&self, request: GenerateRequest) -> BoxFuture<'_, Result<u64>> {
        drop(request);
        Box::pin(async { Err(Error::unsupported("token counting")) })
    }
}

impl<P: Provider + ?Sized> Provider for Arc<P> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn stream(&self, request: GenerateRequest) -> BoxFuture<'_, Result<EventStream>> {
        (**self).stream(request)
    }

    fn generate(&self, request: GenerateRequest) -> BoxFuture<'_, Result<GenerateResponse>> {
        (**self).generate(request)
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'_, Result<EmbedResponse>> {
        (**self).embed(request)
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<ModelInfo>>> {
        (**self).models()
    }

    fn count_tokens(&self, request: GenerateRequest) -> BoxFuture<'_, Result<u64>> {
        (**self).count_tokens(request)
    }
}

/// Object safety, checked by the compiler.
const _: fn(&dyn Provider) = |_| {};
