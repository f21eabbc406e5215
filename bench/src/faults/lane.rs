//! One direction of a connection.

use super::{How, Lane};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
};

/// The most bytes that are moved at once.
const PIECE: usize = 16 * 1024;

/// How often a slow direction moves a little.
const BEATS_PER_SECOND: u64 = 50;

/// Why a direction says nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its sender is done.
    Done,
    /// The connection shall end in good order.
    Close,
    /// The connection shall be reset.
    Reset,
}

/// Moves the bytes of one direction until it ends; `moved` hears of each piece, once it has been
/// written.
pub(super) async fn carry(
    (mut from, mut to): (ReadHalf<'_>, WriteHalf<'_>),
    lane: Lane,
    mut moved: impl FnMut(&[u8]),
) -> End {
    match carry_all(&mut from, &mut to, lane, &mut moved).await {
        Ok(end) => end,
        // One side is gone: so is the other's connection.
        Err(_) => End::Reset,
    }
}

async fn carry_all(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    mut lane: Lane,
    moved: &mut impl FnMut(&[u8]),
) -> io::Result<End> {
    let mut buffer = vec![0; PIECE];
    let mut passed = 0_u64;
    loop {
        let mut most = buffer.len();
        if let Some(stop) = lane.stop {
            let left = stop.after.saturating_sub(passed);
            if left == 0 {
                match stop.how {
                    How::Close => return Ok(End::Close),
                    How::Reset => return Ok(End::Reset),
                    How::Silence => std::future::pending().await,
                    How::Pause(time) => {
                        tokio::time::sleep(time).await;
                        lane.stop = None;
                        continue;
                    }
                }
            }
            most = most.min(usize::try_from(left).unwrap_or(most));
        }
        if let Some(rate) = lane.rate {
            let beat = (rate / BEATS_PER_SECOND).max(1);
            most = most.min(usize::try_from(beat).unwrap_or(most));
        }
        let room = buffer.get_mut(..most).unwrap_or_default();
        let read = from.read(room).await?;
        let piece = buffer.get(..read).unwrap_or_default();
        if piece.is_empty() {
            to.shutdown().await?;
            return Ok(End::Done);
        }
        to.write_all(piece).await?;
        moved(piece);
        passed = passed.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        if let Some(rate) = lane.rate {
            tokio::time::sleep(time_of(read, rate)).await;
        }
    }
}

/// How long so many bytes take.
fn time_of(bytes: usize, rate: u64) -> Duration {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1))
}
