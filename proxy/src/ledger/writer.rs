//! The one task that moves money: many messages, one transaction, one durable write.
//!
//! Messages are taken in the order in which they were sent. A hold that finds the database locked
//! is refused; an end is tried again until it is written, because it cannot be refused.

use super::{
    hold::{HoldError, Placed},
    status,
    window::bounds,
};
use crate::{
    clock::Clock,
    prices::Quote,
    store::{Books, Charge, Counters, EntryRow, OpenHold, StoreError},
    tasks::Tasks,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot};
use tollgate_types::{BudgetStatus, Resource};

/// Messages in one transaction.
const BATCH: usize = 256;
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
    pub quote: Quote,
    pub entry: EntryRow,
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

/// An answer that waits for the commit.
enum Answer {
    Placed(oneshot::Sender<Result<Placed, HoldError>>, Result<Placed, HoldError>),
    Closed(Box<Close>, Vec<BudgetStatus>),
}

struct Writer {
    books: Books,
    clock: Arc<dyn Clock>,
    /// Ends that are still to be written.
    unwritten: Vec<Close>,
}

/// Runs until the tasks are told to stop and every open call has ended.
pub(super) async fn run(
    books: Books,
    mut messages: mpsc::Receiver<Message>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
) {
    let mut writer = Writer { books, clock, unwritten: Vec::new() };
    let mut batch = Vec::with_capacity(BATCH);
    let mut open = true;
    while open || !writer.unwritten.is_empty() {
        let room = BATCH.saturating_sub(writer.unwritten.len()).max(1);
        tokio::select! {
            biased;
            taken = messages.recv_many(&mut batch, room), if open => open = taken > 0,
            () = tasks.stopping(), if !messages.is_closed() => messages.close(),
            () = tokio::time::sleep(RETRY), if !writer.unwritten.is_empty() => {}
        }
        writer.write(std::mem::take(&mut batch)).await;
    }
}

impl Writer {
    async fn write(&mut self, batch: Vec<Message>) {
        if batch.is_empty() && self.unwritten.is_empty() {
            return;
        }
        let mut messages: Vec<Message> =
            self.unwritten.drain(..).map(|close| Message::Close(Box::new(close))).collect();
        messages.extend(batch);
        if let Err(error) = self.books.begin().await {
            tracing::warn!(%error, "the ledger cannot write");
            self.books.recover().await;
            return self.refuse(messages);
        }
        let mut answers = Vec::with_capacity(messages.len());
        let mut messages = messages.into_iter();
        // SQLite may have left the transaction by itself: nothing may be applied outside of it.
        let mut written = Ok(());
        while written.is_ok()
            && let Some(message) = messages.next()
        {
            written = self.apply(message, &mut answers).await;
        }
        if written.is_ok() {
            written = self.books.commit().await;
        }
        if let Err(error) = written {
            tracing::warn!(%error, "the ledger could not write a batch, and tries again");
            self.books.recover().await;
            self.take_back(answers);
            return self.refuse(messages.collect());
        }
        answers.into_iter().for_each(deliver);
    }

    /// Nothing could be written: holds are refused, ends wait.
    fn refuse(&mut self, messages: Vec<Message>) {
        for message in messages {
            match message {
                Message::Place(place) => drop(place.reply.send(Err(StoreError::Busy.into()))),
                Message::Close(close) => self.unwritten.push(*close),
                Message::Note { .. } => {}
            }
        }
    }

    /// Nothing of the batch counts.
    fn take_back(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            match answer {
                Answer::Placed(reply, _) => drop(reply.send(Err(StoreError::Busy.into()))),
                Answer::Closed(close, _) => self.unwritten.push(*close),
            }
        }
    }

    /// Applies one message; fails only when the whole transaction is lost.
    async fn apply(
        &mut self,
        message: Message,
        answers: &mut Vec<Answer>,
    ) -> Result<(), StoreError> {
        match message {
            Message::Place(place) => {
                let PlaceHold { hold_id, node, quote, entry, reply } = *place;
                let hold = OpenHold {
                    id: hold_id,
                    node,
                    draft: serde_json::to_string(&entry)?,
                    delivered_tokens: 0,
                };
                if let Err(error) = self.books.mark().await {
                    drop(reply.send(Err(StoreError::Busy.into())));
                    return Err(error);
                }
                let placed = self.place(&hold, &quote).await;
                let kept =
                    if placed.is_ok() { self.books.keep().await } else { self.books.undo().await };
                answers.push(Answer::Placed(reply, placed));
                kept
            }
            Message::Note { hold_id, delivered } => {
                let delivered = i64::try_from(delivered).unwrap_or(i64::MAX);
                self.books.note_delivered(&hold_id, delivered).await
            }
            // Kept among the answers even when it failed: an end is tried again, never lost.
            Message::Close(close) => {
                let closed = self.close(&close).await;
                let (budgets, failed) = match closed {
                    Ok(budgets) => (budgets, Ok(())),
                    Err(error) => (Vec::new(), Err(error)),
                };
                answers.push(Answer::Closed(close, budgets));
                failed
            }
        }
    }

    /// Sets aside in every budget of the chain what the longest affordable answer costs.
    async fn place(&mut self, hold: &OpenHold, quote: &Quote) -> Result<Placed, HoldError> {
        let now_ms = self.clock.now_ms();
        let caller = quote.permit().caller();
        let chain = self.books.chain(caller.user_id(), caller.key_id()).await?;
        let mut placed = Placed { max_output: quote.bound().max_output, limited: false };
        let mut shares = Vec::with_capacity(chain.len());
        for row in &chain {
            let (resource, window) = status::terms(row)?;
            let window = bounds(window, now_ms, &row.time_zone);
            let counters = self.books.window(&row.id, window.start_ms, window.end_ms).await?;
            let standing = status::of_row(row, counters, window.end_ms)?;
            let longest = affordable(quote, resource, counters, &standing)?;
            placed.max_output = placed.max_output.min(longest);
            placed.limited |= resource != Resource::Requests;
            shares.push((resource, window, standing));
        }
        self.books.insert_hold(hold, now_ms).await?;
        for (resource, window, standing) in shares {
            let amount = quote.amount(resource, placed.max_output);
            let budget = &standing.budget;
            if !self.books.set_aside(&hold.id, budget, window.start_ms, amount).await? {
                return Err(HoldError::Exhausted(Box::new(standing)));
            }
        }
        Ok(placed)
    }

    /// Entry and release are one transaction. A hold that has ended already stays as it is.
    async fn close(&mut self, close: &Close) -> Result<Vec<BudgetStatus>, StoreError> {
        self.books.release(&close.hold_id, close.charge).await?;
        let charged = match close.reply {
            Some(_) => self.books.charged(&close.hold_id).await?,
            None => Vec::new(),
        };
        let was_open = self.books.forget(&close.hold_id).await?;
        if let Some(entry) = close.entry.as_ref().filter(|_| was_open) {
            self.books.insert_entry(entry).await?;
        }
        // A budget that cannot be read keeps no end from being written.
        Ok(charged.iter().filter_map(|budget| status::of_charged(budget).ok()).collect())
    }
}

/// The longest answer that one budget can pay for.
fn affordable(
    quote: &Quote,
    resource: Resource,
    counters: Counters,
    standing: &BudgetStatus,
) -> Result<u64, HoldError> {
    if let (Resource::Cost, Some(target)) = (resource, quote.unpriced()) {
        let budget = standing.budget.clone();
        return Err(HoldError::Unpriced { target: target.clone(), budget });
    }
    let available = standing.cap.saturating_sub(counters.spent).saturating_sub(counters.held);
    quote
        .affordable_output(resource, available)
        .ok_or_else(|| HoldError::Exhausted(Box::new(standing.clone())))
}

fn deliver(answer: Answer) {
    match answer {
        Answer::Placed(reply, placed) => drop(reply.send(placed)),
        Answer::Closed(close, budgets) => {
            if let Some(reply) = close.reply {
                drop(reply.send(budgets));
            }
        }
    }
}
