//! The side of the server that wants to read another one's run.

use super::{EXPIRES, FIELD, LOOK, PATIENCE, Relay, Said, Wish, silent};
use crate::{
    access::Target,
    limits::Rates,
    runs::{Run, RunEvents},
    store::RunRow,
    tasks::Tasks,
};
use futures_util::stream;
use redis::{RedisResult, aio::MultiplexedConnection, cmd, pipe};
use std::collections::VecDeque;
use tokio::time::timeout;
use tollgate_types::{Error, ErrorKind, Result as Outcome, StreamEvent};

/// Entries that are taken at once.
const TAKE: usize = 128;

/// Entries of a stream, as Redis writes them: its name, and id and fields of each entry.
type Entries = Option<Vec<(String, Vec<(String, Vec<String>)>)>>;

impl Relay {
    /// A run as its server writes it, from the event `next` on; `None` when that does not answer,
    /// or has not got it any more.
    pub(in crate::runs) async fn follow(&self, run: &RunRow, next: u64) -> Option<Run> {
        let stream =
            format!("{}:run-reader:{}-{:016x}", self.prefix, run.request_id, fastrand::u64(..));
        let wish = Wish { run: run.request_id.clone(), next, to: stream.clone() };
        let asked = self.ask(&run.node, &wish).await;
        let connection = asked
            .inspect_err(|error| tracing::debug!(error = error.category(), "cannot ask for a run"))
            .ok()?;
        let mut seat = Seat {
            connection,
            stream,
            last: "0".to_owned(),
            waiting: VecDeque::new(),
            tasks: self.tasks.clone(),
            ended: false,
        };
        let here = timeout(PATIENCE, seat.take()).await.ok()?.ok()?;
        let Some(Said::Here { provider, model, clamped_to }) = here else { return None };
        Some(Run {
            id: run.request_id.clone(),
            target: Target { provider, model },
            clamped_to,
            rates: Rates::default(),
            events: RunEvents::of_stream(next, stream::unfold((seat, next), step)),
        })
    }

    async fn ask(&self, node: &str, wish: &Wish) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.connect().await?;
        let list = self.wishes_of(node);
        let text = serde_json::to_string(wish).map_err(|_| silent())?;
        let mut asking = pipe();
        // The stream is made by an entry that says nothing.
        asking.atomic().cmd("XADD").arg(&wish.to).arg("*").arg("made").arg("").ignore();
        asking.expire(&wish.to, seconds()).ignore();
        asking.cmd("RPUSH").arg(&list).arg(text).ignore();
        asking.expire(&list, seconds()).ignore();
        let asked = timeout(PATIENCE, asking.query_async::<()>(&mut connection)).await;
        asked.map_err(|_| silent())??;
        Ok(connection)
    }
}

fn seconds() -> i64 {
    i64::try_from(EXPIRES.as_secs()).unwrap_or(i64::MAX)
}

/// The next event of a seat, with its number.
async fn step((mut seat, next): (Seat, u64)) -> Option<((u64, Outcome<StreamEvent>), (Seat, u64))> {
    if seat.ended {
        return None;
    }
    let (number, event) = seat.event(next).await;
    seat.ended = matches!(event, Err(_) | Ok(StreamEvent::Finish { .. }));
    Some(((number, event), (seat, number + 1)))
}

/// A place among the readers of another server's run. Dropping it is leaving.
struct Seat {
    connection: MultiplexedConnection,
    stream: String,
    /// Id of the last entry that was taken.
    last: String,
    waiting: VecDeque<Said>,
    tasks: Tasks,
    ended: bool,
}

impl Seat {
    async fn event(&mut self, next: u64) -> (u64, Outcome<StreamEvent>) {
        loop {
            return match timeout(EXPIRES, self.take()).await {
                Ok(Ok(Some(Said::Still))) => continue,
                Ok(Ok(Some(Said::Event { number, event }))) => match *event {
                    StreamEvent::Error { error } => (number, Err(error)),
                    event => (number, Ok(event)),
                },
                _ => (next, Err(lost())),
            };
        }
    }

    /// What the run's server says next; `None` when the stream is not there any more.
    async fn take(&mut self) -> RedisResult<Option<Said>> {
        loop {
            if let Some(said) = self.waiting.pop_front() {
                return Ok(Some(said));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Waits for more, and says that somebody still reads.
    async fn read(&mut self) -> RedisResult<bool> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(TAKE).arg("BLOCK").arg(LOOK.as_secs() * 1000);
        read.arg("STREAMS").arg(&self.stream).arg(&self.last);
        let wait = LOOK + PATIENCE;
        let answer = timeout(wait, read.query_async::<Entries>(&mut self.connection)).await;
        let entries = answer.map_err(|_| silent())??.unwrap_or_default();
        for (id, fields) in entries.into_iter().flat_map(|(_, entries)| entries) {
            self.last = id;
            let said = fields.chunks_exact(2).find_map(|pair| match pair {
                [name, said] if name == FIELD => serde_json::from_str(said).ok(),
                _ => None,
            });
            self.waiting.extend(said);
        }
        let mut keep = pipe();
        keep.cmd("XTRIM").arg(&self.stream).arg("MINID").arg(&self.last).ignore();
        keep.expire(&self.stream, seconds());
        let kept = timeout(PATIENCE, keep.query_async::<(bool,)>(&mut self.connection)).await;
        Ok(kept.map_err(|_| silent())??.0)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (mut connection, stream) = (self.connection.clone(), std::mem::take(&mut self.stream));
        self.tasks.spawn(async move {
            let mut delete = cmd("DEL");
            delete.arg(stream);
            drop(timeout(PATIENCE, delete.query_async::<()>(&mut connection)).await);
        });
    }
}

/// The run's server, or Redis, went away: the caller joins again, or asks for the end.
fn lost() -> Error {
    let message = "the server that makes the call is not heard any more; join the run again";
    Error::new(ErrorKind::StreamInterrupted, message).with(|body| {
        body.code = Some("run_elsewhere".to_owned());
        body.retryable = true;
    })
}
