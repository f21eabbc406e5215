//! A streamed answer while it arrives.

use futures_util::stream;
use reqwest::Response;
use std::collections::VecDeque;
use tollgate_types::{Error, ErrorKind, EventStream, Result, SseDecoder, StreamEvent, Warning};

use super::transport::{Deadline, Transport};
use crate::dialects::openai::StreamDecoder;

/// Bytes in, events out. Dropping it closes the connection.
pub(super) struct Answer {
    transport: Transport,
    response: Response,
    deadline: Deadline,
    sse: SseDecoder,
    decoder: StreamDecoder,
    ready: VecDeque<Result<StreamEvent>>,
    upstream_request_id: Option<String>,
    any_bytes: bool,
    ended: bool,
}

impl Answer {
    pub(super) fn new(
        name: &str,
        transport: &Transport,
        response: Response,
        deadline: Deadline,
    ) -> Self {
        let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
        Self {
            transport: transport.clone(),
            upstream_request_id: id.map(str::to_owned),
            response,
            deadline,
            sse: SseDecoder::default(),
            decoder: StreamDecoder::new(name),
            ready: VecDeque::new(),
            any_bytes: false,
            ended: false,
        }
    }

    /// Waits for the first event, so that what fails before it can still be tried elsewhere.
    pub(super) async fn into_events(mut self, notes: Vec<Warning>) -> Result<EventStream> {
        let mut first = self.next().await.unwrap_or_else(|| Err(self.silent()))?;
        if let StreamEvent::Start { warnings, .. } = &mut first {
            warnings.extend(notes);
        }
        self.ready.push_front(Ok(first));
        let events = stream::unfold(self, |mut answer| async move {
            let event = answer.next().await?;
            Some((event, answer))
        });
        Ok(EventStream::new(events))
    }

    async fn next(&mut self) -> Option<Result<StreamEvent>> {
        while self.ready.is_empty() && !self.ended {
            let chunk = if self.any_bytes {
                self.transport.chunk(&mut self.response, self.deadline).await
            } else {
                self.transport.first_chunk(&mut self.response, self.deadline).await
            };
            match chunk {
                Ok(Some(bytes)) => self.take(&bytes),
                Ok(None) => {
                    self.take_last();
                    self.end(None);
                }
                Err(broken) => self.end(Some(broken)),
            }
        }
        self.ready.pop_front()
    }

    fn take(&mut self, bytes: &[u8]) {
        self.any_bytes = true;
        let fits = self.sse.push(bytes);
        self.decode();
        if fits.is_err() && !self.ended {
            let error = self.transport.error(ErrorKind::Protocol, "sent an endless event");
            self.fail(error);
        }
    }

    fn decode(&mut self) {
        while !self.ended
            && let Some(payload) = self.sse.next_data()
        {
            match self.decoder.push(&String::from_utf8_lossy(&payload)) {
                Ok(events) => self.ready.extend(events.into_iter().map(Ok)),
                Err(error) => self.fail(error),
            }
            self.ended |= self.decoder.is_done();
        }
    }

    /// What stands at the end without a blank line is either a whole event or cut off.
    fn take_last(&mut self) {
        self.sse.end();
        while !self.ended
            && let Some(payload) = self.sse.next_data()
        {
            match self.decoder.push(&String::from_utf8_lossy(&payload)) {
                Ok(events) => self.ready.extend(events.into_iter().map(Ok)),
                Err(cut_off) if cut_off.kind() == ErrorKind::Protocol => {}
                Err(error) => self.fail(error),
            }
            self.ended |= self.decoder.is_done();
        }
    }

    /// The connection is over. An answer that was complete by then is good, however it ended.
    fn end(&mut self, broken: Option<Error>) {
        if self.ended {
            return;
        }
        match self.decoder.end() {
            Ok(events) => {
                self.ready.extend(events.into_iter().map(Ok));
                self.ended = true;
            }
            Err(error) => {
                // An error that the provider had announced says more than the broken connection.
                let announced = error.kind() != ErrorKind::StreamInterrupted;
                self.fail(broken.filter(|_| !announced).unwrap_or(error));
            }
        }
    }

    fn fail(&mut self, error: Error) {
        self.ended = true;
        let id = self.upstream_request_id.clone();
        let error =
            error.with(|body| body.upstream_request_id = id.or(body.upstream_request_id.take()));
        self.ready.push_back(Err(self.transport.without_key(error)));
    }

    fn silent(&self) -> Error {
        self.transport.error(ErrorKind::StreamInterrupted, "ended its answer before it began")
    }
}
