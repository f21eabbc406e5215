//! How fast an answer comes and how it ends; it notices when the client leaves.

use axum::{
    body::{Body, Bytes},
    response::Response,
};
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
        memory.working.send_modify(|count| *count += 1);
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
            self.memory.lost(Abort { at: Instant::now(), chunks: self.chunks });
        }
        self.memory.working.send_modify(|count| *count -= 1);
    }
}

/// Waits; no time at all costs nothing, where a timer would cost a millisecond.
pub(super) async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// What one streamed answer consists of.
pub(super) struct Frames {
    /// What is sent, piece by piece.
    pub(super) frames: Vec<Bytes>,
    /// What is sent instead of a frame that shall be broken.
    pub(super) broken: &'static str,
}

/// The frames as a body, until the script ends them.
pub(super) fn body(script: &Script, frames: Frames, watched: Watched) -> Body {
    Body::from_stream(paced(script.delay, script.end, frames, watched))
}

fn paced(
    delay: Duration,
    end: End,
    frames: Frames,
    watched: Watched,
) -> impl Stream<Item = io::Result<Bytes>> {
    let broken = frames.broken;
    let state = (frames.frames.into_iter(), watched);
    stream::unfold(state, move |(mut frames, mut watched)| async move {
        match end {
            End::Stall(after) if watched.chunks >= after => std::future::pending().await,
            End::Reset(after) if watched.chunks == after => {
                // What was said before has left the buffers by then.
                tokio::time::sleep(Duration::from_millis(5)).await;
                watched.done = true;
                watched.chunks += 1;
                return Some((Err(io::Error::other("reset as told")), (frames, watched)));
            }
            End::Cut(after) if watched.chunks >= after => {
                watched.finish();
                return None;
            }
            End::Malformed(after) if watched.chunks == after => {
                watched.chunks += 1;
                return Some((Ok(Bytes::from_static(broken.as_bytes())), (frames, watched)));
            }
            _ => {}
        }
        let Some(frame) = frames.next() else {
            watched.finish();
            return None;
        };
        if delay.is_zero() {
            // Each chunk leaves on its own, as it does where it has to be thought up first.
            tokio::task::yield_now().await;
        }
        pause(delay).await;
        watched.chunks += 1;
        Some((Ok(frame), (frames, watched)))
    })
}
