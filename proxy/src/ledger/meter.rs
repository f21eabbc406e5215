//! Counts what a call uses, and settles it, however it ends.

use super::{
    Disposition, Outcome,
    hold::{Ending, Held},
    outcome::{record, within},
    status::Standing,
    writer::{Close, Message},
};
use crate::{
    access::Target,
    prices::Rates,
    store::{Kind, NewEntry, StoreError},
};
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use tollgate_types::{ErrorKind, GPU_MS, NanoUsd, Receipt, StreamEvent, Usage};

/// The longest token of any vocabulary in use is far below this many bytes, so that many bytes are
/// more than one token for certain.
const BYTES_PER_TOKEN_AT_MOST: u64 = 128;
/// English text has about four bytes a token: the estimate when nobody counted.
const BYTES_PER_TOKEN_USUALLY: u64 = 4;
/// How many tokens may pass before the open hold's row is told.
const NOTE_EVERY: u64 = 16;

/// Whether an answer may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It may.
    Open,
    /// The hold is used up.
    Cut,
}

/// Counts one call. Dropping it settles the call as cancelled, with what is known by then.
#[derive(Debug)]
pub struct Meter {
    /// Absent once the end was sent.
    ending: Option<Ending>,
    held: Held,
    /// Of the target that the call goes to, where it has a price.
    rates: Option<Arc<Rates>>,
    answered: bool,
    reported: Option<Usage>,
    /// Since when the model works on it, and how long it did: known once it is asked for at the end.
    began: Option<Instant>,
    worked: OnceLock<Duration>,
    deltas: u64,
    bytes: u64,
    noted: u64,
}

impl Meter {
    pub(super) fn new(ending: Ending, held: Held) -> Self {
        let first = held.quote.permit().targets().first();
        Self {
            ending: Some(ending),
            rates: first.and_then(|target| held.quote.rates_of(target)).cloned(),
            held,
            answered: false,
            reported: None,
            began: None,
            worked: OnceLock::new(),
            deltas: 0,
            bytes: 0,
            noted: 0,
        }
    }

    /// The call goes to this target, for the `attempt`th time of asking.
    pub fn reaches(&mut self, target: &Target, attempt: i64) {
        let planned = &self.held.entry.kind;
        if (&*planned.provider, &*planned.model, planned.attempt)
            != (&*target.provider, &*target.model, attempt)
        {
            let (provider, model) = (target.provider.as_str().into(), target.model.as_str().into());
            let kind = Kind { provider, model, attempt, ..planned.borrowed() }.shared();
            Arc::make_mut(&mut self.held.entry).kind = kind;
        }
        self.rates = self.held.quote.rates_of(target).cloned();
        // What runs in this process says when it leaves the queue; elsewhere nobody does.
        self.began = (!self.held.quote.bound().in_process).then(Instant::now);
    }

    /// Tollgate's id of the request.
    pub fn request_id(&self) -> &str {
        &self.held.entry.request_id
    }

    /// Notes an event of the answer; says whether the answer may go on.
    pub fn note(&mut self, event: &StreamEvent) -> Flow {
        self.answered = true;
        match event {
            StreamEvent::Start { origin, .. } => {
                Arc::make_mut(&mut self.held.entry)
                    .upstream_request_id
                    .clone_from(&origin.response_id);
                self.began.get_or_insert_with(Instant::now);
            }
            StreamEvent::PartDelta { delta, .. } if !delta.is_empty() => self.count(delta.len()),
            StreamEvent::PartStart { part, .. } => {
                let length = part.clone().growing().map_or(0, |text| text.len());
                if length > 0 {
                    self.count(length);
                }
            }
            // Nothing reported is not a report of nothing.
            StreamEvent::Usage { usage } | StreamEvent::Finish { usage, .. }
                if !usage.is_empty() =>
            {
                self.reported = Some(usage.clone());
            }
            _ => {}
        }
        match self.held.output_limit() {
            Some(limit) if self.output_at_least() > limit => Flow::Cut,
            _ if self.deadline().is_some_and(|deadline| deadline <= Instant::now()) => Flow::Cut,
            _ => Flow::Open,
        }
    }

    /// When the time is used up that was set aside, where time costs something and a budget counts.
    pub fn deadline(&self) -> Option<Instant> {
        self.held.output_limit()?;
        let most = self.rates.as_ref()?.max_ms()?;
        self.began?.checked_add(Duration::from_millis(most))
    }

    /// With the time that the model worked, where that costs something and the provider did not
    /// count it; never more than was set aside for it.
    fn timed(&self, usage: &Usage) -> Usage {
        let mut usage = usage.clone();
        let Some(most) = self.rates.as_ref().and_then(|rates| rates.max_ms()) else { return usage };
        if let (Some(began), false) = (self.began, usage.is_empty()) {
            let worked = self.worked.get_or_init(|| began.elapsed()).as_millis();
            let worked = u64::try_from(worked).unwrap_or(u64::MAX);
            usage.tool_fees.entry(GPU_MS.to_owned()).or_insert(worked);
        }
        if let Some(worked) = usage.tool_fees.get_mut(GPU_MS) {
            *worked = (*worked).min(most);
        }
        usage
    }

    fn count(&mut self, bytes: usize) {
        self.deltas += 1;
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let elapsed = self.elapsed_ms();
        if self.held.entry.first_token_ms.is_none() {
            Arc::make_mut(&mut self.held.entry).first_token_ms = Some(elapsed);
        }
        let delivered = self.output_estimate();
        if delivered >= self.noted.saturating_add(NOTE_EVERY)
            && let (Some(ending), Some(queue)) = (&self.ending, &self.held.queue)
        {
            // Best effort: the queue may be full, and a later note says more.
            let hold_id = Arc::clone(ending.hold_id());
            if queue.try_send(Message::Note { hold_id, delivered }).is_ok() {
                self.noted = delivered;
            }
        }
    }

    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.held.admitted.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// No honest provider delivers fewer tokens than this: every delta is at least one.
    fn output_at_least(&self) -> u64 {
        self.deltas.max(self.bytes / BYTES_PER_TOKEN_AT_MOST)
    }

    /// Never more than the provider was allowed to produce. Events tell the first of several
    /// answers; the others are taken to be as long.
    fn output_estimate(&self) -> u64 {
        let delivered = self.deltas.max(self.bytes.div_ceil(BYTES_PER_TOKEN_USUALLY));
        let answers = self.held.quote.bound().min_output.max(1);
        delivered.saturating_mul(answers).min(self.held.output_limit().unwrap_or(u64::MAX))
    }

    /// What the caller is told was used: what the provider said, as if it had been asked directly.
    /// What is booked may be less.
    pub fn told(&self, reported: &Usage) -> Usage {
        self.timed(reported)
    }

    /// As much of a provider's report as is booked.
    pub fn believed(&self, reported: &Usage) -> Usage {
        within(&self.timed(reported), self.held.ceiling()).0
    }

    /// What the call has used, as far as is known: what the provider reported, raised to what was
    /// delivered; an estimate when it reported nothing.
    pub fn used(&self) -> Usage {
        match &self.reported {
            Some(usage) => {
                let output =
                    usage.output.max(self.output_estimate().saturating_sub(usage.reasoning));
                Usage { output, estimated: true, ..usage.clone() }
            }
            None if !self.answered && self.held.quote.bound().in_process => Usage::default(),
            None => Usage {
                estimated: true,
                ..Usage::tokens(self.held.quote.bound().likely_input, self.output_estimate())
            },
        }
    }

    /// Ends the call; returns when its entry is durable.
    ///
    /// # Errors
    /// When the database does not answer. The writer goes on trying.
    pub async fn settle(mut self, outcome: Outcome) -> Result<Receipt, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request_id = self.held.entry.request_id.clone();
        let upstream_request_id = self.held.entry.upstream_request_id.clone();
        let cost = self.close(&outcome, Some(reply));
        let budgets = match self.held.queue {
            Some(_) => answer.await.map_err(|_| StoreError::Busy)?,
            None => Vec::new(),
        };
        let budgets = budgets.iter().filter_map(|standing| standing.told().ok()).collect();
        Ok(Receipt { request_id, upstream_request_id, cost, budgets, limits: None })
    }

    /// Ends a call whose upstream refused before it produced anything: an entry, and no charge.
    pub fn fail(mut self, error: ErrorKind) {
        let outcome = Outcome::broken(Disposition::Failed, Usage::default(), error);
        self.close(&outcome, None);
    }

    /// Ends a call whose upstream took it and broke before its first event: it has cost the prompt.
    pub fn interrupt(mut self, error: ErrorKind) {
        let outcome = Outcome::broken(Disposition::Interrupted, self.used(), error);
        self.close(&outcome, None);
    }

    fn close(
        &mut self,
        outcome: &Outcome,
        reply: Option<oneshot::Sender<Vec<Standing>>>,
    ) -> Option<NanoUsd> {
        let ending = self.ending.take()?;
        let rates = self.rates.clone();
        let outcome = Outcome { usage: self.timed(&outcome.usage), ..outcome.clone() };
        let mut shared = std::mem::take(&mut self.held.entry);
        let entry = Arc::make_mut(&mut shared);
        let charge = record(entry, &outcome, rates.as_ref(), self.held.ceiling());
        entry.latency_ms = self.elapsed_ms();
        log_end(entry);
        let cost = entry.cost_nano_usd.map(NanoUsd);
        let hold_id = Arc::clone(ending.hold_id());
        ending.send(Close { hold_id, charge, entry: Some(shared), reply });
        cost
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.ending.is_some() {
            let outcome = Outcome::new(Disposition::Cancelled, self.used());
            self.close(&outcome, None);
        }
    }
}

/// The one line per call.
fn log_end(entry: &NewEntry) {
    tracing::info!(
        request_id = %entry.request_id,
        key_id = %entry.kind.key_id,
        provider = %entry.kind.provider,
        model = %entry.kind.model,
        disposition = %entry.kind.disposition,
        error = entry.kind.error.as_deref(),
        input_tokens = entry.tokens.input,
        output_tokens = entry.tokens.output,
        cost_nano_usd = entry.cost_nano_usd,
        latency_ms = entry.latency_ms,
        "call ended"
    );
}
