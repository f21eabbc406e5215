//! The body of a streamed answer, which notices when the client leaves.

use axum::{body::Bytes, response::Response};
use futures_util::stream::{self, Stream};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Abort, Memory};
use crate::script::{End, Script};

/// An answer under way: dropped before its end, it counts as aborted by the client.
pub(super) struct Watched {
    memory: Arc<Memory>,
    chunks: usize,
    done: bool,
}

impl Watched {
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self { memory, chunks: 0, done: false }
    }

    /// The answer is given whole.
    pub(super) fn whole(self, response: Response) -> Response {
        self.finish();
        response
    }

    /// The answer ended as it was told to.
    fn finish(mut self) {
        self.done = true;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.done {
            let abort = Abort { at: Instant::now(), chunks: self.chunks };
            Memory::remember(&self.memory.aborts, &self.memory.aborted, abort);
        }
    }
}

/// The frames of an answer, until the script ends them.
pub(super) fn stream(
    script: Script,
    frames: Vec<Bytes>,
    watched: Watched,
) -> impl Stream<Item = io::Result<Bytes>> {
    let state = (script, frames.into_iter(), watched);
    stream::unfold(state, |(script, mut frames, mut watched)| async move {
        match script.end {
            End::Stall(after) if watched.chunks >= after => std::future::pending().await,
            End::Reset(after) if watched.chunks == after => {
                // What was said before has left the buffers by then.
                tokio::time::sleep(Duration::from_millis(5)).await;
                watched.done = true;
                watched.chunks += 1;
                return Some((Err(io::Error::other("reset as told")), (script, frames, watched)));
            }
            End::Cut(after) if watched.chunks >= after => {
                watched.finish();
                return None;
            }
            End::Malformed(after) if watched.chunks == after => {
                watched.chunks += 1;
                let frame = Bytes::from_static(b"data: {\"choices\": [oops\n\n");
                return Some((Ok(frame), (script, frames, watched)));
            }
            _ => {}
        }
        let Some(frame) = frames.next() else {
            watched.finish();
            return None;
        };
        tokio::time::sleep(script.delay).await;
        watched.chunks += 1;
        Some((Ok(frame), (script, frames, watched)))
    })
}
