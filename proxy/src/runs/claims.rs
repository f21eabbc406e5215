//! Which server makes a call, written down before the provider is asked: one task writes for all
//! calls, many of them in one transaction.

use super::roll::Roll;
use crate::{
    clock::Clock,
    ledger::Ledger,
    store::{RunChange, RunEnd, RunRow, Store, StoreError, promptly},
    tasks::Tasks,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;

/// Orders that may wait for the writer.
const QUEUE: usize = 16_384;
/// Orders that are written in one transaction.
const BATCH: usize = 256;
/// How long a call waits until it is written down.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the writer looks whether other servers want a run cancelled.
const LOOK: Duration = Duration::from_secs(1);
/// Looks between two sweeps of what has expired.
const SWEEP: u32 = 30;
/// Rows that one statement of a sweep forgets, and how many such statements one sweep makes at most:
/// more than calls come in between.
const FORGET: u32 = 1000;
const STATEMENTS: u32 = 100;
/// How long the database may take: a connection that is lost in silence is given up.
const ANSWER: Duration = Duration::from_millis(1500);

/// What is to be written, and who waits for it.
#[derive(Debug)]
struct Order {
    change: RunChange,
    /// Of a claim.
    reply: Option<oneshot::Sender<Result<bool, StoreError>>>,
}

impl Order {
    fn new(change: RunChange) -> Self {
        Self { change, reply: None }
    }

    /// What frees keys comes before what wants them; then in the order of the keys, as on every
    /// server.
    fn rank(&self) -> (u8, &str, &str) {
        match &self.change {
            RunChange::End(end) => (0, &end.request_id, ""),
            RunChange::Release(id) => (0, id, ""),
            RunChange::Claim(run) => (1, &run.key_id, &run.key_hash),
        }
    }
}

/// The way to the writer.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    queue: mpsc::Sender<Order>,
    /// The writer goes on until these have ended.
    pub(super) runs: TaskTracker,
}

impl Claims {
    /// Starts the writer.
    pub(super) fn start(writer: Writer, tasks: &Tasks) -> Self {
        let (queue, orders) = mpsc::channel(QUEUE);
        let runs = TaskTracker::new();
        tasks.spawn(writer.write(orders, runs.clone(), tasks.clone()));
        Self { queue, runs }
    }

    /// Claims a key for a call, durably. Returns false when another call has it.
    ///
    /// # Errors
    /// Any database failure. Then, and where this is given up, the claim is to be released.
    pub(super) async fn claim(&self, run: RunRow) -> Result<bool, StoreError> {
        let (reply, claimed) = oneshot::channel();
        let asked = async {
            let order = Order { change: RunChange::Claim(Box::new(run)), reply: Some(reply) };
            self.queue.send(order).await.map_err(|_| StoreError::silent())?;
            claimed.await.unwrap_or_else(|_| Err(StoreError::silent()))
        };
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(StoreError::silent()))
    }

    /// A run has ended.
    pub(super) async fn end(&self, end: RunEnd) {
        drop(self.queue.send(Order::new(RunChange::End(end))).await);
    }

    /// A call was not made, or failed: its key is free.
    pub(super) async fn release(&self, id: &str) {
        drop(self.queue.send(Order::new(RunChange::Release(id.to_owned()))).await);
    }
}

/// The one task that writes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) ledger: Ledger,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) node: String,
    pub(super) roll: Arc<Roll>,
}

impl Writer {
    async fn write(self, mut orders: mpsc::Receiver<Order>, runs: TaskTracker, tasks: Tasks) {
        let mut next_look = Instant::now();
        let mut looked = 0u32;
        // What could not be written yet: ends and releases.
        let mut owed = Vec::new();
        loop {
            let mut batch = std::mem::take(&mut owed);
            tokio::select! {
                biased;
                received = orders.recv_many(&mut batch, BATCH) => if received == 0 { return },
                () = sleep_until(next_look) => {}
                () = ended(&tasks, &runs) => {
                    orders.close();
                    while orders.recv_many(&mut batch, BATCH).await > 0 {}
                    drop(self.write_batch(batch).await);
                    return;
                }
            }
            owed = self.write_batch(batch).await;
            // However much there is to write.
            if Instant::now() >= next_look {
                self.look(looked, !runs.is_empty()).await;
                looked = looked.wrapping_add(1);
                next_look = Instant::now() + LOOK;
            }
        }
    }

    /// Writes orders together, or one by one when that fails. Returns those to try again.
    async fn write_batch(&self, mut batch: Vec<Order>) -> Vec<Order> {
        // Who does not wait any more has released already, or will.
        batch.retain(|order| !order.reply.as_ref().is_some_and(oneshot::Sender::is_closed));
        if batch.is_empty() {
            return batch;
        }
        batch.sort_by(|one, other| one.rank().cmp(&other.rank()));
        match self.commit(&batch).await {
            Ok(claimed) => {
                reply(batch, claimed);
                Vec::new()
            }
            Err(error) if batch.len() == 1 || !error.blames_a_row() => refuse(batch, &error),
            Err(_) => {
                let mut owed = Vec::new();
                for order in batch {
                    let alone = vec![order];
                    match self.commit(&alone).await {
                        Ok(claimed) => reply(alone, claimed),
                        Err(error) => owed.extend(refuse(alone, &error)),
                    }
                }
                owed
            }
        }
    }

    /// Returns which claims got their key, in the order of the claims. What frees keys is over
    /// before they are claimed: each of the two takes its rows in one order, both together do not.
    async fn commit(&self, batch: &[Order]) -> Result<Vec<bool>, StoreError> {
        let freeing = batch.partition_point(|order| order.reply.is_none());
        let (freeing, claiming) = batch.split_at_checked(freeing).unwrap_or((batch, &[]));
        self.commit_some(freeing).await?;
        self.commit_some(claiming).await
    }

    async fn commit_some(&self, batch: &[Order]) -> Result<Vec<bool>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let changes: Arc<[RunChange]> = batch.iter().map(|order| order.change.clone()).collect();
        let writing = async {
            match self.ledger.write_runs(Arc::clone(&changes)).await {
                Some(written) => written,
                None => self.store.write_runs(&changes).await,
            }
        };
        timeout(ANSWER, writing).await.unwrap_or_else(|_| Err(StoreError::silent()))
    }

    async fn look(&self, looked: u32, runs: bool) {
        if runs && self.store.is_shared() {
            match promptly(self.store.runs_to_cancel(&self.node)).await {
                Ok(ids) => ids.iter().filter_map(|id| self.roll.of_id(id)).for_each(|live| {
                    live.cancel.cancel();
                }),
                Err(error) => tracing::warn!(%error, "cannot look for cancelled runs"),
            }
        }
        if looked.is_multiple_of(SWEEP) {
            self.sweep().await;
        }
    }

    async fn sweep(&self) {
        for _ in 0..STATEMENTS {
            match promptly(self.store.forget_runs(self.clock.now_ms(), FORGET)).await {
                Ok(swept) if swept >= u64::from(FORGET) => {}
                Ok(_) => return,
                Err(error) => return tracing::warn!(%error, "cannot forget old runs"),
            }
        }
    }
}

/// Resolves when the server stops and every run has ended.
async fn ended(tasks: &Tasks, runs: &TaskTracker) {
    tasks.stopping().await;
    runs.close();
    runs.wait().await;
}

fn reply(batch: Vec<Order>, claimed: Vec<bool>) {
    let replies = batch.into_iter().filter_map(|order| order.reply);
    for (reply, claimed) in replies.zip(claimed) {
        drop(reply.send(Ok(claimed)));
    }
}

/// Tells those who wait; what nobody waits for is tried again, unless it is at fault itself.
fn refuse(batch: Vec<Order>, error: &StoreError) -> Vec<Order> {
    let mut owed = Vec::new();
    for order in batch {
        match order.reply {
            Some(reply) => drop(reply.send(Err(StoreError::Unreachable(error.to_string())))),
            None if error.blames_a_row() => {
                tracing::error!(%error, "the end of a run cannot be written");
            }
            None => owed.push(order),
        }
    }
    owed.truncate(QUEUE);
    owed
}
