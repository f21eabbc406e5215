//! HTTP as a transport: one request for each attempt, streams as server-sent events.

use crate::{
    address, answer, events,
    failure::{self, Head},
    transport::{Ask, Frame, Opened, Reply, Transport},
};
use futures_util::stream;
use reqwest::{
    Client, Response, Url,
    header::{ACCEPT, HeaderValue},
};
use std::fmt;
use tollgate_types::{BoxFuture, Result, SseDecoder};

/// A server that is reached by HTTP.
pub(crate) struct HttpTransport {
    pub(crate) client: Client,
    pub(crate) server: Url,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("server", &self.server.as_str()).finish()
    }
}

impl Transport for HttpTransport {
    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Reply>> {
        Box::pin(async move {
            let response = self.send(ask, None).await?;
            answer::whole(response).await
        })
    }

    fn stream<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Opened>> {
        Box::pin(async move {
            open(self.send(ask, Some(HeaderValue::from_static("text/event-stream"))).await?)
        })
    }
}

impl HttpTransport {
    async fn send(&self, ask: &Ask, accept: Option<HeaderValue>) -> Result<Response> {
        let url = address::join(&self.server, &ask.path, &ask.query);
        let mut headers = ask.headers.clone();
        headers.extend(accept.map(|accept| (ACCEPT, accept)));
        let mut request = self.client.request(ask.method.clone(), url).headers(headers);
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        let response = request.send().await.map_err(failure::transport)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(answer::refusal(response).await)
    }
}

/// Reads an answer's body as events. Dropping them closes the connection.
fn open(response: Response) -> Result<Opened> {
    let head = Head::of(&response);
    answer::check_type(&head, &response, answer::EVENT_STREAM)?;
    let reader = Reader { response, head: head.clone(), decoder: SseDecoder::default() };
    let frames = stream::try_unfold(reader, |mut reader| async move {
        let frame = reader.next().await.map_err(|error| reader.head.stamp(error))?;
        Ok(frame.map(|frame| (frame, reader)))
    });
    Ok(Opened { head, frames: Box::pin(frames) })
}

struct Reader {
    response: Response,
    head: Head,
    decoder: SseDecoder,
}

impl Reader {
    /// The next event, or a sign of life; `None` when the body has ended.
    async fn next(&mut self) -> Result<Option<Frame>> {
        if let Some((number, data)) = self.decoder.next_numbered() {
            let event =
                events::decode(&data).map_err(|error| self.head.unreadable("an event", &error))?;
            return Ok(Some(Frame::Event { number, event }));
        }
        let Some(piece) = self.response.chunk().await.map_err(failure::broken_off)? else {
            return Ok(None);
        };
        let pushed = self.decoder.push(&piece);
        pushed.map_err(|_| self.head.protocol("an event is longer than 64 MiB"))?;
        Ok(Some(Frame::Ping))
    }
}
