//! What every codec's stream decoder can do, and the head of the answers that codecs write.

use tollgate_types::{Result, StreamEvent};

/// Reads an upstream's stream, payload by payload. A payload is the `data` of a server-sent event
/// or a line of newline-delimited JSON.
pub trait Decoder: Send + 'static {
    /// Takes one payload.
    ///
    /// # Errors
    /// `protocol` when it is not what the format says; whatever error the provider put into the
    /// stream.
    fn push(&mut self, payload: &str) -> Result<Vec<StreamEvent>>;

    /// The connection has ended.
    ///
    /// # Errors
    /// `stream_interrupted` when the answer is not whole.
    fn end(&mut self) -> Result<Vec<StreamEvent>>;

    /// Whether the answer is complete: nothing after it counts.
    fn is_done(&self) -> bool;

    /// Whether the provider has said why it stops: what follows is bookkeeping.
    fn is_closing(&self) -> bool;
}

/// What stands at the head of an answer that we write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyHead {
    /// Id of the answer.
    pub id: String,
    /// When it was made, seconds since 1970 UTC.
    pub created_s: i64,
    /// The model as the client shall read it.
    pub model: String,
}
