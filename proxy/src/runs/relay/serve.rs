//! The side of the server that makes the run.

use super::{AHEAD, FIELD, LOOK, PATIENCE, Relay, Said, Wish, silent};
use crate::runs::{
    live::{Live, Reader},
    roll::Roll,
};
use redis::{RedisResult, aio::MultiplexedConnection, cmd};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use tollgate_types::StreamEvent;

/// How long a server waits that could not reach Redis.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a full stream is looked at.
const FULL: Duration = Duration::from_millis(20);

impl Relay {
    /// Grants wishes for the runs of this server, until it stops.
    pub(in crate::runs) fn serve(&self, node: String, roll: Arc<Roll>) {
        let relay = self.clone();
        self.tasks.spawn(async move {
            let stop = relay.tasks.clone();
            tokio::select! {
                () = stop.stopping() => {}
                () = relay.listen(&node, &roll) => {}
            }
        });
    }

    async fn listen(&self, node: &str, roll: &Arc<Roll>) {
        loop {
            if let Err(error) = self.take_wishes(node, roll).await {
                tracing::debug!(error = error.category(), "no runs are shown to other servers");
            }
            sleep(AGAIN).await;
        }
    }

    async fn take_wishes(&self, node: &str, roll: &Arc<Roll>) -> RedisResult<()> {
        let mut connection = self.connect().await?;
        let list = self.wishes_of(node);
        loop {
            let mut take = cmd("BLPOP");
            take.arg(&list).arg(LOOK.as_secs());
            let taken = timeout(LOOK + PATIENCE, take.query_async(&mut connection)).await;
            let taken: Option<(String, String)> = taken.map_err(|_| silent())??;
            let Some((_, wish)) = taken else { continue };
            let Ok(wish) = serde_json::from_str::<Wish>(&wish) else { continue };
            let (relay, roll) = (self.clone(), Arc::clone(roll));
            self.tasks.spawn(async move {
                if let Err(error) = relay.grant(wish, &roll).await {
                    tracing::debug!(error = error.category(), "a run is not shown any more");
                }
            });
        }
    }

    /// Writes the events of a run, until its end or until the asker is gone.
    async fn grant(&self, wish: Wish, roll: &Roll) -> RedisResult<()> {
        let mut to = Asker { connection: self.connect().await?, stream: wish.to };
        let Some((live, reader)) = readable(roll, &wish.run, wish.next) else {
            return to.tell(&Said::Gone).await.map(drop);
        };
        let Some(opening) = live.opened().await else {
            return to.tell(&Said::Gone).await.map(drop);
        };
        let (provider, model) = (opening.target.provider, opening.target.model);
        let here = Said::Here { provider, model, clamped_to: opening.clamped_to };
        if to.tell(&here).await? { to.follow(reader).await } else { Ok(()) }
    }
}

fn readable(roll: &Roll, id: &str, next: u64) -> Option<(Arc<Live>, Reader)> {
    let live = roll.of_id(id)?;
    let reader = live.read_from(next);
    let (first, coming) = live.numbers();
    let follows = next < coming || (next == coming && live.end().is_none());
    (next >= first && follows).then_some((live, reader))
}

/// Somebody at another server.
struct Asker {
    connection: MultiplexedConnection,
    stream: String,
}

impl Asker {
    async fn follow(&mut self, mut reader: Reader) -> RedisResult<()> {
        let mut ahead = 0;
        loop {
            let Ok(item) = timeout(LOOK, reader.next()).await else {
                if !self.tell(&Said::Still).await? {
                    return Ok(());
                }
                continue;
            };
            let Some((number, event)) = item else { return Ok(()) };
            let event = event.unwrap_or_else(|error| StreamEvent::Error { error });
            if !self.tell(&Said::Event { number, event: Box::new(event) }).await? {
                return Ok(());
            }
            ahead += 1;
            if ahead >= AHEAD / 2 {
                ahead = 0;
                if !self.has_room().await? {
                    return Ok(());
                }
            }
        }
    }

    /// Adds to the asker's stream; false when that is not there any more.
    async fn tell(&mut self, said: &Said) -> RedisResult<bool> {
        let said = serde_json::to_string(said).map_err(|_| silent())?;
        let mut add = cmd("XADD");
        add.arg(&self.stream).arg("NOMKSTREAM").arg("*").arg(FIELD).arg(said);
        let added: Option<String> = self.ask(&add).await?;
        Ok(added.is_some())
    }

    /// Waits until the asker has read on; false when it is gone.
    async fn has_room(&mut self) -> RedisResult<bool> {
        while let Some(length) = self.length().await? {
            if length < AHEAD {
                return Ok(true);
            }
            sleep(FULL).await;
        }
        Ok(false)
    }

    /// How many entries wait in the asker's stream; `None` when that is not there any more.
    async fn length(&mut self) -> RedisResult<Option<usize>> {
        let there: u8 = self.ask(cmd("EXISTS").arg(&self.stream)).await?;
        if there == 0 {
            return Ok(None);
        }
        self.ask(cmd("XLEN").arg(&self.stream)).await.map(Some)
    }

    async fn ask<T: redis::FromRedisValue>(&mut self, question: &redis::Cmd) -> RedisResult<T> {
        let answer = timeout(PATIENCE, question.query_async(&mut self.connection)).await;
        answer.unwrap_or_else(|_| Err(silent()))
    }
}
