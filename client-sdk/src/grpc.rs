//! gRPC as a transport: every attempt is one stream of one HTTP/2 connection.
//!
//! It goes through the same HTTP client as everything else, so that proxies, certificates and
//! timeouts are the same. What has no method of its own (usage, budgets, keys) goes over HTTP.

mod failed;
mod message;

use crate::{
    address,
    failure::Head,
    http::HttpTransport,
    transport::{Ask, Frame, Opened, Reply, RunName, Transport},
};
use bytes::Bytes;
use futures_util::stream;
use prost::Message;
use reqwest::{
    Client, ClientBuilder, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE},
};
use rustls::ClientConfig;
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, time::Duration};
use tollgate_types::{
    BoxFuture, EmbedRequest, EmbedResponse, Error, ErrorKind, GenerateRequest, GenerateResponse,
    Result, StreamEvent,
    proto::{method, read_event, v1},
    wire::{ModelList, TokenCount, path},
};
use tonic::Streaming;

/// How often a server is asked whether it lives while calls run, and how long it may take to say so,
/// at most: together they stay below the silence that a caller allows.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_PATIENCE: Duration = Duration::from_secs(20);
const LEAST: Duration = Duration::from_millis(50);
/// What may arrive of one call before it is read, bytes. Small, so that a caller who reads slowly
/// stops only the call that he reads.
const CALL_WINDOW: u32 = 256 << 10;
/// The same of all calls together.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// The most metadata of an answer, bytes.
const MAX_METADATA: u32 = 64 << 10;

/// A server that is reached by gRPC.
pub(crate) struct GrpcTransport {
    pub(crate) client: Client,
    pub(crate) server: Url,
    /// For what has no method.
    pub(crate) http: HttpTransport,
}

/// HTTP/2 from the first byte, with one connection for all calls. One that is silent for longer than
/// `idle` is given up, and the calls on it with it.
pub(crate) fn configure(
    client: ClientBuilder,
    mut tls: ClientConfig,
    idle: Duration,
) -> ClientBuilder {
    // What ends TLS in front of a server may speak HTTP/1.1 unless it is told.
    tls.alpn_protocols = vec![b"h2".to_vec()];
    client
        .tls_backend_preconfigured(tls)
        .http2_prior_knowledge()
        .http2_keep_alive_interval(PING_EVERY.min(idle / 4).max(LEAST))
        .http2_keep_alive_timeout(PING_PATIENCE.min(idle / 2).max(LEAST))
        .http2_initial_stream_window_size(CALL_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(MAX_METADATA)
}

impl fmt::Debug for GrpcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcTransport").field("server", &self.server.as_str()).finish()
    }
}

impl Transport for GrpcTransport {
    fn notices_silence(&self) -> bool {
        true
    }

    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Reply>> {
        Box::pin(async move {
            match ask.path.as_str() {
                path::GENERATE => {
                    let request: GenerateRequest = read(ask)?;
                    let request = v1::GenerateRequest::from(request);
                    let (head, answer) = self.unary(method::GENERATE, ask, request).await?;
                    let answer: v1::GenerateResponse = answer;
                    let answer = GenerateResponse::try_from(answer);
                    reply(&head, &answer.map_err(|error| unreadable(&head, error))?)
                }
                path::EMBED => {
                    let request: EmbedRequest = read(ask)?;
                    let request = v1::EmbedRequest::from(request);
                    let (head, answer) = self.unary(method::EMBED, ask, request).await?;
                    let answer: v1::EmbedResponse = answer;
                    reply(&head, &EmbedResponse::from(answer))
                }
                path::COUNT_TOKENS => {
                    let request: GenerateRequest = read(ask)?;
                    let request = v1::GenerateRequest::from(request);
                    let (head, answer) = self.unary(method::COUNT_TOKENS, ask, request).await?;
                    let v1::CountTokensResponse { input_tokens } = answer;
                    reply(&head, &TokenCount { input_tokens })
                }
                path::MODELS => {
                    let request = v1::ListModelsRequest {};
                    let (head, answer) = self.unary(method::LIST_MODELS, ask, request).await?;
                    let answer: v1::ListModelsResponse = answer;
                    reply(&head, &ModelList { models: answer.into() })
                }
                _ => self.http.ask(ask).await,
            }
        })
    }

    fn stream<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Opened>> {
        Box::pin(async move {
            if ask.path != path::STREAM {
                return self.http.stream(ask).await;
            }
            let request: GenerateRequest = read(ask)?;
            let request = v1::GenerateRequest::from(request);
            self.events(method::STREAM, &ask.headers, request).await
        })
    }

    fn resume<'a>(
        &'a self,
        run: &'a RunName,
        after: Option<u64>,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<Opened>> {
        let request = v1::ResumeRunRequest { id: run.to_string(), after };
        Box::pin(self.events(method::RESUME_RUN, headers, request))
    }

    fn cancel<'a>(&'a self, run: &'a RunName, headers: &'a HeaderMap) -> BoxFuture<'a, Result<()>> {
        let request = v1::CancelRunRequest { id: run.to_string() };
        Box::pin(async move {
            let (head, mut answer) = self.open(method::CANCEL_RUN, headers, request).await?;
            let v1::CancelRunResponse {} = only(&head, &mut answer).await?;
            Ok(())
        })
    }
}

impl GrpcTransport {
    async fn unary<A: Message + Default + 'static>(
        &self,
        method: &str,
        ask: &Ask,
        request: impl Message,
    ) -> Result<(Head, A)> {
        let (head, mut answer) = self.open(method, &ask.headers, request).await?;
        let message = only(&head, &mut answer).await?;
        Ok((head, message))
    }

    /// Opens a call. Done when its answer begins.
    async fn open<A: Message + Default + 'static>(
        &self,
        method: &str,
        headers: &HeaderMap,
        request: impl Message,
    ) -> Result<(Head, Streaming<A>)> {
        let mut headers = headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        let url = address::join(&self.server, method, &[]);
        let request = self.client.post(url).headers(headers).body(message::frame(&request)?);
        let response = request.send().await.map_err(failed::connection)?;
        let head = Head::of(&response);
        Ok((head.clone(), message::read(response, &head).await?))
    }

    async fn events(
        &self,
        method: &'static str,
        headers: &HeaderMap,
        request: impl Message,
    ) -> Result<Opened> {
        let (head, messages) = self.open(method, headers, request).await?;
        let reader = Some((head.clone(), messages));
        let frames = stream::unfold(reader, |reader| async {
            let (head, mut messages): (Head, Streaming<v1::StreamResponse>) = reader?;
            match next(&head, &mut messages).await? {
                Ok(frame) => Some((Ok(frame), Some((head, messages)))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Opened { head, frames: Box::pin(frames) })
    }
}

/// The next event of a stream; nothing when it ended well.
async fn next(head: &Head, messages: &mut Streaming<v1::StreamResponse>) -> Option<Result<Frame>> {
    match messages.message().await {
        Ok(None) => None,
        Ok(Some(message)) => Some(match read_event(message) {
            Ok(Some((number, event))) => Ok(Frame::Event { number: Some(number), event }),
            Ok(None) => Ok(Frame::Ping),
            Err(error) => Err(unreadable(head, error)),
        }),
        Err(status) => Some(match failed::told(&status) {
            Some((number, error)) => {
                Ok(Frame::Event { number, event: StreamEvent::Error { error } })
            }
            None => Err(head.name(failed::of(&status, ErrorKind::StreamInterrupted))),
        }),
    }
}

/// The one message of an answer.
async fn only<A>(head: &Head, messages: &mut Streaming<A>) -> Result<A> {
    let broken = |status| head.name(failed::answer(&status));
    let message = messages.message().await.map_err(broken)?;
    let Some(message) = message else { return Err(head.not_tollgate("the answer is empty")) };
    // The status comes behind the message.
    match messages.message().await.map_err(broken)? {
        None => Ok(message),
        Some(_) => Err(head.not_tollgate("the answer has several messages")),
    }
}

fn read<T: DeserializeOwned>(ask: &Ask) -> Result<T> {
    serde_json::from_slice(ask.body.as_deref().unwrap_or_default()).map_err(|error| {
        Error::invalid("request", "the request cannot be sent by gRPC").with_source(error)
    })
}

fn reply(head: &Head, answer: &impl Serialize) -> Result<Reply> {
    let body = serde_json::to_vec(answer).map_err(|error| head.unreadable("the answer", &error))?;
    Ok(Reply { head: head.clone(), body: Bytes::from(body) })
}

fn unreadable(head: &Head, error: Error) -> Error {
    head.not_tollgate("the answer cannot be read").with_source(error)
}
