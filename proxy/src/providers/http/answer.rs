//! A streamed answer while it arrives.

use futures_util::stream;
use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll, ready},
};
use tollgate_types::{Error, ErrorKind, EventStream, Result, StreamEvent, Warning};

use super::{
    Wire,
    client::Response,
    payloads::Payloads,
    transport::{Deadline, Transport},
};
use crate::{clock::Patience, dialects::stream::Decoder};

/// Bytes in, events out. Dropping it closes the connection.
pub(super) struct Answer<W: Wire> {
    transport: Transport,
    response: Response,
    deadline: Deadline,
    patience: Patience,
    payloads: Payloads,
    decoder: W::Decoder,
    ready: VecDeque<Result<StreamEvent>>,
    upstream_request_id: Option<String>,
    verbatim: bool,
    /// The provider has said why it stops. Should it say more all the same, nothing overtakes what
    /// is held back until the call is settled.
    closing: bool,
    any_bytes: bool,
    ended: bool,
}

impl<W: Wire> Answer<W> {
    pub(super) fn new(
        transport: &Transport,
        mut response: Response,
        deadline: Deadline,
        verbatim: bool,
    ) -> Self {
        let id = ["x-request-id", "request-id"].iter().find_map(|n| response.headers().get(*n));
        let upstream_request_id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
        response.forget_headers();
        Self {
            transport: transport.clone(),
            upstream_request_id,
            response,
            deadline,
            patience: Patience::new(),
            payloads: Payloads::new(W::FRAMING),
            decoder: W::decoder(transport.name()),
            ready: VecDeque::new(),
            verbatim,
            closing: false,
            any_bytes: false,
            ended: false,
        }
    }

    /// Waits for the first event that says something, so that what fails before it can still be
    /// tried elsewhere.
    pub(super) async fn into_events(mut self, notes: Vec<Warning>) -> Result<EventStream> {
        let mut first = Vec::new();
        while !matches!(first.last(), Some(event) if !is_verbatim(event)) {
            let event = poll_fn(|context| self.poll_event(context)).await;
            first.push(event.unwrap_or_else(|| Err(self.silent()))?);
        }
        if let Some(StreamEvent::Start { warnings, .. }) = first.last_mut() {
            warnings.extend(notes);
        }
        first.into_iter().rev().for_each(|event| self.ready.push_front(Ok(event)));
        Ok(EventStream::new(stream::poll_fn(move |context| self.poll_event(context))))
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<StreamEvent>>> {
        while self.ready.is_empty() && !self.ended {
            let Self { transport, response, patience, .. } = self;
            let wait = (self.deadline, !self.any_bytes);
            match ready!(transport.poll_chunk(context, response, patience, wait)) {
                Ok(Some(bytes)) => self.take(&bytes),
                Ok(None) => {
                    self.take_last();
                    self.end(None);
                }
                Err(broken) => self.end(Some(broken)),
            }
        }
        Poll::Ready(self.ready.pop_front())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.any_bytes = true;
        let fits = self.payloads.push(bytes);
        self.decode();
        if fits.is_err() && !self.ended {
            let error = self.transport.error(ErrorKind::Protocol, "sent an endless event");
            self.fail(error);
        }
    }

    fn decode(&mut self) {
        while !self.ended
            && let Some(payload) = self.payloads.next_payload()
        {
            match self.decoder.push(&payload) {
                Ok(events) => self.deliver(payload, events),
                Err(error) => self.fail(error),
            }
        }
    }

    /// What stands at the end without a blank line is either a whole event or cut off.
    fn take_last(&mut self) {
        self.payloads.end();
        while !self.ended
            && let Some(payload) = self.payloads.next_payload()
        {
            match self.decoder.push(&payload) {
                Ok(events) => self.deliver(payload, events),
                Err(cut_off) if cut_off.kind() == ErrorKind::Protocol => {}
                Err(error) => self.fail(error),
            }
        }
    }

    fn deliver(&mut self, payload: String, events: Vec<StreamEvent>) {
        if self.verbatim {
            let data = self.transport.told::<W>(payload);
            self.closing |= self.decoder.is_closing();
            let closing = self.closing;
            self.ready.push_back(Ok(StreamEvent::Verbatim { data, closing }));
        }
        self.ready.extend(events.into_iter().map(Ok));
        self.ended |= self.decoder.is_done();
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

fn is_verbatim(event: &StreamEvent) -> bool {
    matches!(event, StreamEvent::Verbatim { .. })
}
