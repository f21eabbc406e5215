//! A transport whose attempts carry a credential, and are made once more with another one where
//! the server asks for that.

use crate::{
    credentials::{Bearer, Credentials},
    transport::{Ask, Opened, Reply, RunName, Transport},
};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use std::{future::Future, sync::Arc};
use tollgate_types::{BoxFuture, Result};

/// Adds the credential to attempts that have none of their own.
#[derive(Debug)]
pub(crate) struct Authorized {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) credentials: Arc<Credentials>,
}

impl Authorized {
    /// Makes an attempt with these headers, the credential among them.
    async fn attempt<T, F: Future<Output = Result<T>>>(
        &self,
        headers: &HeaderMap,
        make: impl Fn(HeaderMap) -> F,
    ) -> Result<T> {
        if headers.contains_key(AUTHORIZATION) {
            return make(headers.clone()).await;
        }
        let bearer = self.credentials.bearer().await?;
        match make(with(headers, &bearer)).await {
            Err(error) if self.credentials.refused(&bearer, &error) => {
                make(with(headers, &self.credentials.bearer().await?)).await
            }
            done => done,
        }
    }
}

fn with(headers: &HeaderMap, bearer: &Bearer) -> HeaderMap {
    let mut headers = headers.clone();
    headers.insert(AUTHORIZATION, bearer.header.clone());
    headers
}

impl Transport for Authorized {
    fn notices_silence(&self) -> bool {
        self.transport.notices_silence()
    }

    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Reply>> {
        Box::pin(self.attempt(&ask.headers, move |headers| async move {
            self.transport.ask(&Ask { headers, ..ask.clone() }).await
        }))
    }

    fn stream<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Opened>> {
        Box::pin(self.attempt(&ask.headers, move |headers| async move {
            self.transport.stream(&Ask { headers, ..ask.clone() }).await
        }))
    }

    fn resume<'a>(
        &'a self,
        run: &'a RunName,
        after: Option<u64>,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<Opened>> {
        Box::pin(self.attempt(headers, move |headers| async move {
            self.transport.resume(run, after, &headers).await
        }))
    }

    fn cancel<'a>(&'a self, run: &'a RunName, headers: &'a HeaderMap) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.attempt(headers, move |headers| async move {
            self.transport.cancel(run, &headers).await
        }))
    }
}
