//! The calls that a connection carries, and to which of them a frame of the server belongs.

use super::inbox::Inbox;
use serde::{Deserialize, de::IgnoredAny};
use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tollgate_types::{Error, ErrorKind};

/// A call as the connection knows it. Dropping it tells whoever reads the call that nothing more
/// will come.
pub(super) struct Entry(pub(super) Arc<Inbox>);

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.lose(lost("the connection is closed"));
    }
}

/// The connection failed; whether the server has the call is not known.
pub(super) fn lost(why: &str) -> Error {
    Error::new(ErrorKind::Connection, format!("lost the connection to the Tollgate server: {why}"))
}

/// The calls of a connection by their numbers.
#[derive(Default)]
pub(super) struct Table(Mutex<HashMap<u64, Entry>>);

impl Table {
    /// All of them.
    pub(super) fn open(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a frame of the server. One for a call that has ended here came too late.
    ///
    /// # Errors
    /// `protocol` when it cannot be read.
    pub(super) fn dispatch(&self, text: Utf8Bytes) -> Result<(), Error> {
        let envelope: Envelope<'_> = serde_json::from_str(&text).map_err(|_| {
            let message = "the server sends frames that cannot be read";
            Error::new(ErrorKind::Protocol, message)
        })?;
        let (call, is_event, is_last) =
            (envelope.call, envelope.event.is_some(), envelope.is_last());
        let mut calls = self.open();
        if is_last {
            if let Some(entry) = calls.remove(&call) {
                entry.0.push(text, is_event);
            }
        } else if let Some(entry) = calls.get(&call) {
            entry.0.push(text, is_event);
        }
        Ok(())
    }

    /// The connection lives.
    pub(super) fn ping(&self) {
        self.open().values().for_each(|entry| entry.0.ping());
    }

    /// The connection is gone.
    pub(super) fn lose_all(&self, error: &Error) {
        let calls = std::mem::take(&mut *self.open());
        calls.into_values().for_each(|entry| entry.0.lose(error.clone()));
    }
}

/// As much of a frame as says whom it is for.
#[derive(Deserialize)]
struct Envelope<'a> {
    call: u64,
    #[serde(default)]
    event: Option<u64>,
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(default)]
    response: Option<IgnoredAny>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

impl Envelope<'_> {
    fn is_last(&self) -> bool {
        let finished = self.event.is_some() && self.kind.as_deref() == Some("finish");
        finished || self.response.is_some() || self.error.is_some()
    }
}
