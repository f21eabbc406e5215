//! The one task that moves money: many messages, one transaction, one durable write.
//!
//! Messages are taken in the order in which they were sent. A hold that finds the database locked
//! is refused; an end is tried again until it is written, because it cannot be refused.

use super::{
    batch,
    hold::{HoldError, Placed},
    known::Known,
    page::Answer,
    pulse::Pulse,
    status::Standing,
};
use crate::{
    clock::Clock,
    prices::Quote,
    store::{Books, Charge, NewEntry, RunChange, StoreError},
    tasks::Tasks,
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// Messages in one transaction.
pub(super) const BATCH: usize = 256;
/// Turns of the scheduler for which a batch waits at most.
const TURNS: usize = 4;
/// Entries that may wait in the journal: applying them keeps the messages behind waiting, and holds
/// that are open then become rows.
const JOURNALED: usize = 512;
/// How long anything waits there.
const LAG: Duration = Duration::from_millis(100);
/// How long what was delivered waits to be written: nobody waits for that, but what a server that
/// dies had not written is not charged.
const NOTE_LAG: Duration = Duration::from_millis(20);
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
        hold_id: Arc<str>,
        /// Output tokens.
        delivered: u64,
    },
    /// End a hold.
    Close(Box<Close>),
}

impl Message {
    /// Nobody waits for what comes of it.
    fn is_note(&self) -> bool {
        matches!(self, Self::Note { .. })
    }

    fn into_note(self) -> Option<(Arc<str>, u64)> {
        match self {
            Self::Note { hold_id, delivered } => Some((hold_id, delivered)),
            Self::Place(_) | Self::Close(_) => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct PlaceHold {
    pub hold_id: Arc<str>,
    pub node: Arc<String>,
    pub quote: Arc<Quote>,
    /// The entry as it is planned.
    pub draft: Arc<NewEntry>,
    pub reply: oneshot::Sender<Result<Placed, HoldError>>,
}

#[derive(Debug)]
pub(super) struct Close {
    pub hold_id: Arc<str>,
    pub charge: Charge,
    /// Absent when the call was never sent.
    pub entry: Option<Arc<NewEntry>>,
    /// Told the budgets after the charge, once they are durable.
    pub reply: Option<oneshot::Sender<Vec<Standing>>>,
}

impl Close {
    /// Gives everything back.
    pub(super) fn release(hold_id: Arc<str>) -> Self {
        Self { hold_id, charge: Charge::default(), entry: None, reply: None }
    }
}

/// Runs to be written on the way; see [`Ledger::write_runs`](super::Ledger::write_runs).
#[derive(Debug)]
pub(super) struct WriteRuns {
    pub changes: Arc<[RunChange]>,
    pub reply: oneshot::Sender<Result<Vec<bool>, StoreError>>,
}

struct Writer {
    books: Books,
    known: Known,
    clock: Arc<dyn Clock>,
    /// Absent where no other server uses the database.
    pulse: Option<Pulse>,
    /// Ends that are still to be written.
    unwritten: VecDeque<Box<Close>>,
    /// When the journal is to be applied, where there is something in it.
    due: Option<Instant>,
    /// What holds have delivered, as of the last note; and when that is to be written.
    notes: BTreeMap<Arc<str>, u64>,
    notes_due: Option<Instant>,
    /// Messages in the next transaction: fewer after one that took too long, so that a slow
    /// database is not asked for the same too much for ever.
    room: usize,
}

/// Runs until the tasks are told to stop and every open call has ended.
pub(super) async fn run(
    (books, pulse): (Books, Option<Pulse>),
    (mut messages, mut runs): (mpsc::Receiver<Message>, mpsc::Receiver<WriteRuns>),
    clock: Arc<dyn Clock>,
    tasks: Tasks,
) {
    let mut writer = Writer {
        books,
        known: Known::default(),
        clock,
        pulse,
        unwritten: VecDeque::new(),
        due: None,
        notes: BTreeMap::new(),
        notes_due: None,
        room: BATCH,
    };
    let mut batch = Vec::with_capacity(BATCH);
    let mut open = true;
    let wanted = writer.books.wanted();
    while open || !writer.unwritten.is_empty() {
        let room = writer.room.saturating_sub(writer.unwritten.len()).max(1);
        tokio::select! {
            biased;
            taken = messages.recv_many(&mut batch, room), if open => open = taken > 0,
            () = tasks.stopping(), if !messages.is_closed() => messages.close(),
            () = tokio::time::sleep(RETRY), if !writer.unwritten.is_empty() => {}
            () = writer.rest() => {}
            Some(asked) = runs.recv() => writer.write_runs(asked).await,
            () = writer.until_due() => {}
            () = wanted.notified() => writer.due = Some(Instant::now()),
        }
        gather(&mut messages, &mut batch, room).await;
        writer.write(std::mem::take(&mut batch)).await;
        // However much there is to write.
        if let Ok(asked) = runs.try_recv() {
            writer.write_runs(asked).await;
        }
        if writer.is_due() {
            writer.apply_journal().await;
        }
        if writer.pulse.as_ref().is_some_and(|pulse| pulse.rest().is_zero()) {
            writer.keep_alive().await;
        }
    }
    writer.apply_journal().await;
}

/// Whoever is about to send comes along: a few turns of the scheduler, while they bring somebody who
/// waits. A turn is long where there is much to do.
async fn gather(messages: &mut mpsc::Receiver<Message>, batch: &mut Vec<Message>, room: usize) {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
        let mut waits = false;
        while batch.len() < room
            && let Ok(message) = messages.try_recv()
        {
            waits |= !message.is_note();
            batch.push(message);
        }
        if !waits {
            return;
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

    /// Waits until the journal is to be applied or notes are to be written; for ever while there are
    /// none of either.
    fn until_due(&self) -> impl Future<Output = ()> + use<> {
        let due = self.due.into_iter().chain(self.notes_due).min();
        async move {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Whether the journal is to be applied now: somebody who is to be told something looks into
    /// the tables.
    fn is_due(&mut self) -> bool {
        let Some(pending) = self.known.pending() else {
            self.due = None;
            return false;
        };
        let now = Instant::now();
        let due = *self.due.get_or_insert_with(|| now + LAG);
        now >= due || pending.entries() >= JOURNALED || !pending.alerts().is_empty()
    }

    /// What cannot be applied stays in the journal, for the next time.
    async fn apply_journal(&mut self) {
        if self.known.pending().is_none() {
            return;
        }
        self.due = None;
        if let Err(error) = batch::apply_journal(&mut self.books, &mut self.known).await {
            tracing::warn!(%error, "the ledger cannot bring its tables up to date, and tries again");
            self.books.recover().await;
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

    /// Writes runs, of which the books know nothing.
    async fn write_runs(&mut self, asked: WriteRuns) {
        // Who does not wait any more asks again, or takes it back.
        if asked.reply.is_closed() {
            return;
        }
        let is_true = self.known.version(&self.books).is_some();
        let written = self.books.write_runs(&asked.changes).await;
        match &written {
            Ok(_) if is_true => self.known.committed(self.books.commits()),
            Ok(_) => {}
            Err(_) => self.books.recover().await,
        }
        drop(asked.reply.send(written));
    }

    /// Puts off a batch that nobody waits for; what was put off goes before the next one.
    fn with_notes(&mut self, batch: Vec<Message>) -> Vec<Message> {
        if batch.iter().all(Message::is_note) {
            self.notes.extend(batch.into_iter().filter_map(Message::into_note));
            if self.notes.is_empty() {
                return Vec::new();
            }
            let now = Instant::now();
            let due = *self.notes_due.get_or_insert(now + NOTE_LAG);
            return if now < due && self.notes.len() < BATCH {
                Vec::new()
            } else {
                self.take_notes()
            };
        }
        let mut messages = self.take_notes();
        messages.extend(batch);
        messages
    }

    fn take_notes(&mut self) -> Vec<Message> {
        self.notes_due = None;
        let notes = std::mem::take(&mut self.notes).into_iter();
        notes.map(|(hold_id, delivered)| Message::Note { hold_id, delivered }).collect()
    }

    /// Writes ends that are still to be written, then the batch.
    async fn write(&mut self, batch: Vec<Message>) {
        let batch = self.with_notes(batch);
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
        let now_ms = self.clock.now_ms();
        let writing = batch::write_knowing(&mut self.books, &mut self.known, &messages, now_ms);
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
