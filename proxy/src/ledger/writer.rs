//! The one task that moves money: many messages, one transaction, one durable write.
//!
//! Messages are taken in the order in which they were sent. A hold that finds the database locked
//! is refused; an end is tried again until it is written, because it cannot be refused.

use super::{
    batch,
    hold::{HoldError, Placed},
    page::Answer,
    pulse::Pulse,
};
use crate::{
    clock::Clock,
    prices::Quote,
    store::{Books, Charge, EntryRow, StoreError},
    tasks::Tasks,
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};
use tollgate_types::BudgetStatus;

/// Messages in one transaction.
pub(super) const BATCH: usize = 256;
/// Pause before ends that could not be written are tried again.
const RETRY: Duration = Duration::from_millis(100);

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Message {
    /// Set money aside.
    Place(Box<PlaceHold>),
    /// Tell the row of an open hold how much was delivered.
    Note {
        /// The hold.
        hold_id: String,
        /// Output tokens.
        delivered: u64,
    },
    /// End a hold.
    Close(Box<Close>),
}

#[derive(Debug)]
pub(super) struct PlaceHold {
    pub hold_id: String,
    pub node: String,
    pub quote: Arc<Quote>,
    /// The entry as it was planned, as JSON.
    pub draft: String,
    pub reply: oneshot::Sender<Result<Placed, HoldError>>,
}

#[derive(Debug)]
pub(super) struct Close {
    pub hold_id: String,
    pub charge: Charge,
    /// Absent when the call was never sent.
    pub entry: Option<EntryRow>,
    /// Told the budgets after the charge, once they are durable.
    pub reply: Option<oneshot::Sender<Vec<BudgetStatus>>>,
}

impl Close {
    /// Gives everything back.
    pub(super) fn release(hold_id: String) -> Self {
        Self { hold_id, charge: Charge::default(), entry: None, reply: None }
    }
}

struct Writer {
    books: Books,
    clock: Arc<dyn Clock>,
    /// Absent where no other server uses the database.
    pulse: Option<Pulse>,
    /// Ends that are still to be written.
    unwritten: VecDeque<Box<Close>>,
    /// Messages in the next transaction: fewer after one that took too long, so that a slow
    /// database is not asked for the same too much for ever.
    room: usize,
}

/// Runs until the tasks are told to stop and every open call has ended.
pub(super) async fn run(
    (books, pulse): (Books, Option<Pulse>),
    mut messages: mpsc::Receiver<Message>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
) {
    let mut writer = Writer { books, clock, pulse, unwritten: VecDeque::new(), room: BATCH };
    let mut batch = Vec::with_capacity(BATCH);
    let mut open = true;
    while open || !writer.unwritten.is_empty() {
        let room = writer.room.saturating_sub(writer.unwritten.len()).max(1);
        tokio::select! {
            biased;
            taken = messages.recv_many(&mut batch, room), if open => open = taken > 0,
            () = tasks.stopping(), if !messages.is_closed() => messages.close(),
            () = tokio::time::sleep(RETRY), if !writer.unwritten.is_empty() => {}
            () = writer.rest() => {}
        }
        // Whoever is about to send comes along: one turn of the scheduler, and no waiting.
        tokio::task::yield_now().await;
        while batch.len() < room
            && let Ok(message) = messages.try_recv()
        {
            batch.push(message);
        }
        writer.write(std::mem::take(&mut batch)).await;
        // However much there is to write.
        if writer.pulse.as_ref().is_some_and(|pulse| pulse.rest().is_zero()) {
            writer.keep_alive().await;
        }
    }
}

impl Writer {
    /// Waits for the time to say that this server lives; for ever where nobody asks.
    fn rest(&self) -> impl Future<Output = ()> + use<> {
        let left = self.pulse.as_ref().map(Pulse::rest);
        async move {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Says that this server lives, and settles what dead ones left open.
    async fn keep_alive(&mut self) {
        let Some(pulse) = &mut self.pulse else { return };
        let patience = pulse.patience();
        let beat = pulse.beat(&mut self.books, self.clock.as_ref());
        match tokio::time::timeout(patience, beat).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "this server cannot say that it lives");
                self.books.recover().await;
            }
            Err(_) => self.books.abandon(),
        }
    }

    /// Writes ends that are still to be written, then the batch.
    async fn write(&mut self, batch: Vec<Message>) {
        let waiting = self.unwritten.len().min(self.room);
        let mut messages: Vec<Message> =
            self.unwritten.drain(..waiting).map(Message::Close).collect();
        messages.extend(batch);
        if messages.is_empty() {
            return;
        }
        let Err((error, messages)) = self.commit(messages).await else { return };
        if error.blames_a_row() && messages.len() > 1 {
            tracing::error!(%error, "the ledger could not write a batch; its parts are tried alone");
            return self.write_alone(messages).await;
        }
        tracing::warn!(%error, "the ledger cannot write, and tries again");
        self.refuse(messages);
    }

    /// Writes each message by itself, so that one that cannot be written harms no other.
    async fn write_alone(&mut self, messages: Vec<Message>) {
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next() {
            let Err((error, message)) = self.commit(vec![message]).await else { continue };
            tracing::error!(%error, "the ledger cannot write this, and tries again");
            self.refuse(message);
            if !error.blames_a_row() {
                return self.refuse(messages.collect());
            }
        }
    }

    /// Writes the messages and answers them; gives them back when nothing of them counts.
    async fn commit(&mut self, messages: Vec<Message>) -> Result<(), (StoreError, Vec<Message>)> {
        let writing = batch::write(&mut self.books, &messages, self.clock.now_ms());
        // A database in a file is slow at worst, one over the network may be lost.
        let written = match &self.pulse {
            None => writing.await,
            Some(pulse) => match tokio::time::timeout(pulse.patience(), writing).await {
                Ok(written) => written,
                Err(_) => {
                    self.books.abandon();
                    self.room = (messages.len() / 2).max(1);
                    return Err((StoreError::silent(), messages));
                }
            },
        };
        match written {
            Ok(answers) => {
                self.room = self.room.saturating_mul(2).min(BATCH);
                let told = messages.into_iter().zip(answers);
                told.for_each(|(message, answer)| deliver(message, answer));
                Ok(())
            }
            Err(error) => {
                self.books.recover().await;
                Err((error, messages))
            }
        }
    }

    /// Nothing could be written: holds are refused, ends wait.
    fn refuse(&mut self, messages: Vec<Message>) {
        for message in messages {
            match message {
                Message::Place(place) => drop(place.reply.send(Err(StoreError::Busy.into()))),
                Message::Close(close) => self.unwritten.push_back(close),
                Message::Note { .. } => {}
            }
        }
    }
}

fn deliver(message: Message, answer: Answer) {
    match (message, answer) {
        (Message::Place(place), Answer::Placed(placed)) => drop(place.reply.send(placed)),
        (Message::Close(close), Answer::Closed(budgets)) => {
            if let Some(reply) = close.reply {
                drop(reply.send(budgets));
            }
        }
        _ => {}
    }
}
