//! The lines of an answer that is no model's answer, one after another.

use std::future::poll_fn;
use tollgate_types::{ErrorKind, Result};

use super::{
    Framing,
    client::Response,
    payloads::Payloads,
    transport::{Deadline, Transport},
};
use crate::clock::Patience;

/// Lines while they arrive. Dropping it closes the connection.
pub(in crate::providers) struct AnswerLines {
    transport: Transport,
    response: Response,
    patience: Patience,
    payloads: Payloads,
    ended: bool,
}

impl AnswerLines {
    pub(in crate::providers) fn new(transport: &Transport, response: Response) -> Self {
        let payloads = Payloads::new(Framing::Lines);
        let patience = Patience::new();
        Self { transport: transport.clone(), response, patience, payloads, ended: false }
    }

    /// The next line; `None` at the end. Each may take as long as a whole answer.
    ///
    /// # Errors
    /// When the connection breaks or is silent for too long.
    pub(in crate::providers) async fn next(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(line) = self.payloads.next_payload() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            let Self { transport, response, patience, .. } = self;
            let wait = (Deadline::default(), true);
            let more = poll_fn(|context| transport.poll_chunk(context, response, patience, wait));
            match more.await? {
                Some(bytes) => self.payloads.push(&bytes).map_err(|_| {
                    self.transport.error(ErrorKind::Protocol, "sent an endless line")
                })?,
                None => {
                    self.payloads.end();
                    self.ended = true;
                }
            }
        }
    }
}
