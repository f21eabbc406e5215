//! Money set aside for one call.

use super::{
    Ledger, Meter,
    outcome::Ceiling,
    writer::{Close, Message, PlaceHold},
};
use crate::{
    access::Target,
    ids::new_id,
    prices::Quote,
    store::{Kind, NewEntry, StoreError, Tokens},
};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};
use tollgate_types::{BudgetStatus, NanoUsd, Resource, Window};

/// Where nothing limits an answer, more output than this is not believed: several times what any
/// model is published to be able to say.
const BELIEVABLE_OUTPUT: u64 = 1 << 20;

/// A caller is told within a second that the database does not answer.
const NO_ANSWER: Duration = Duration::from_millis(900);

/// What is known about a call before it is made, for its entry.
#[derive(Clone, Debug)]
pub struct Order {
    /// Tollgate's id of the request.
    pub request_id: String,
    /// Model as the caller named it.
    pub asked_model: String,
    /// Wire format of the caller.
    pub dialect: &'static str,
    /// Whether the answer goes to the caller as a stream.
    pub streamed: bool,
    /// The caller's labels.
    pub tags: BTreeMap<String, String>,
}

/// Why nothing was set aside.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// A budget cannot pay for the shortest answer.
    #[error(
        "the {resource} budget {budget} of {owner} cannot pay for this request: of {cap} in {window}, {spent} is spent and {held} is held by running requests",
        resource = .0.resource, budget = .0.budget, owner = .0.owner, cap = amount(.0, .0.cap),
        window = window(.0), spent = amount(.0, .0.spent), held = amount(.0, .0.held)
    )]
    Exhausted(Box<BudgetStatus>),
    /// A cost budget applies and the model has no price.
    #[error(
        "{target} has no price, and the budget {budget} limits cost: ask the operator to set a price"
    )]
    Unpriced {
        /// The model.
        target: Target,
        /// The budget.
        budget: String,
    },
    /// A cost budget applies, and a tool that the provider would run has no price.
    #[error(
        "{target} has no price for the tool {tool}, and the budget {budget} limits cost: leave the tool out, or ask the operator to set a price"
    )]
    UnpricedTool {
        /// The model.
        target: Target,
        /// The name of the tool's fee.
        tool: String,
        /// The budget.
        budget: String,
    },
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too many calls are open.
    #[error("the ledger has too many open calls")]
    Overloaded,
    /// The server is shutting down.
    #[error("the ledger is closed: the server is shutting down")]
    Closed,
}

/// An amount with its unit, where its resource has one.
fn amount(budget: &BudgetStatus, amount: i64) -> String {
    match budget.resource {
        Resource::Cost => NanoUsd(amount).to_string(),
        Resource::Tokens | Resource::Requests => amount.to_string(),
    }
}

fn window(budget: &BudgetStatus) -> String {
    match budget.window {
        Window::Total => "all".to_owned(),
        window => format!("this {window}"),
    }
}

/// The reserved message that ends a hold: dropped unused, it releases everything.
#[derive(Debug)]
pub(super) struct Ending {
    permit: Option<mpsc::OwnedPermit<Message>>,
    hold_id: Arc<str>,
}

impl Ending {
    /// Sends the end; what the writer answers comes through `close.reply`.
    pub(super) fn send(mut self, close: Close) {
        if let Some(permit) = self.permit.take() {
            permit.send(Message::Close(Box::new(close)));
        }
    }

    pub(super) fn hold_id(&self) -> &Arc<str> {
        &self.hold_id
    }

    fn disarm(mut self) {
        self.permit = None;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            let release = Close::release(Arc::clone(&self.hold_id));
            permit.send(Message::Close(Box::new(release)));
        }
    }
}

/// What the writer set aside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// The longest answer that every budget can pay for.
    pub max_output: u64,
    /// Whether any budget limits how long the answer can be.
    pub limited: bool,
}

/// What was set aside, for which call.
#[derive(Debug)]
pub(super) struct Held {
    pub quote: Arc<Quote>,
    pub placed: Placed,
    /// The entry as it would be if nobody ever heard of the call again.
    pub entry: Arc<NewEntry>,
    pub admitted: Instant,
    /// Absent when the ledger is off.
    pub queue: Option<mpsc::Sender<Message>>,
}

impl Held {
    /// The longest answer, where a budget limits it.
    pub(super) fn output_limit(&self) -> Option<u64> {
        self.placed.limited.then_some(self.placed.max_output)
    }

    /// The most that the call may be charged.
    pub(super) fn ceiling(&self) -> Ceiling<'_> {
        let bound = self.quote.bound();
        let input = bound.input_tokens;
        match self.output_limit() {
            Some(output) => {
                let cost = self.quote.amount(Resource::Cost, output);
                Ceiling { input, output, cost, fees: Some(self.quote.fees()) }
            }
            None => {
                let output = bound.max_output.max(BELIEVABLE_OUTPUT);
                Ceiling { input, output, cost: i64::MAX, fees: None }
            }
        }
    }
}

/// Money set aside for one call, durably. Dropping it releases everything.
#[derive(Debug)]
pub struct Hold {
    ending: Ending,
    held: Held,
}

pub(super) async fn place(ledger: &Ledger, quote: Quote, order: Order) -> Result<Hold, HoldError> {
    let Some(queue) = &ledger.queue else { return Ok(unbooked(ledger, quote, order)) };
    let reserve = || {
        queue.clone().try_reserve_owned().map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => HoldError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => HoldError::Closed,
        })
    };
    let (asking, permit) = (reserve()?, reserve()?);
    let hold_id: Arc<str> = new_id(ledger.clock.as_ref()).into();
    let quote = Arc::new(quote);
    let entry = Arc::new(planned_entry(&quote, order, ledger.clock.now_ms()));
    let draft = Arc::clone(&entry);
    let (reply, answer) = oneshot::channel();
    // From here on a dropped future releases the hold, whether or not it was placed by then: the
    // writer reads its messages in order.
    let ending = Ending { permit: Some(permit), hold_id: Arc::clone(&hold_id) };
    let node = Arc::clone(&ledger.node);
    let message = PlaceHold { hold_id, node, quote: Arc::clone(&quote), draft, reply };
    asking.send(Message::Place(Box::new(message)));
    let answer = async { answer.await.unwrap_or(Err(HoldError::Closed)) };
    let answer = match ledger.store.is_shared() {
        false => answer.await,
        true => tokio::time::timeout(NO_ANSWER, answer)
            .await
            .unwrap_or_else(|_| Err(StoreError::silent().into())),
    };
    match answer {
        Ok(placed) => {
            let (admitted, queue) = (Instant::now(), Some(queue.clone()));
            Ok(Hold { ending, held: Held { quote, placed, entry, admitted, queue } })
        }
        // Whether a hold was written by a batch that failed is not known: it is released.
        Err(error @ HoldError::Store(_)) => Err(error),
        Err(error) => {
            ending.disarm();
            Err(error)
        }
    }
}

/// A call of a server whose ledger is off: nothing limits it, and nothing remembers it.
fn unbooked(ledger: &Ledger, quote: Quote, order: Order) -> Hold {
    let entry = Arc::new(planned_entry(&quote, order, ledger.clock.now_ms()));
    let placed = Placed { max_output: quote.bound().max_output, limited: false };
    let ending = Ending { permit: None, hold_id: Arc::default() };
    let quote = Arc::new(quote);
    Hold { ending, held: Held { quote, placed, entry, admitted: Instant::now(), queue: None } }
}

/// The entry as it would be if nobody ever heard of the call again.
fn planned_entry(quote: &Quote, order: Order, now_ms: i64) -> NewEntry {
    let caller = quote.permit().caller();
    let target = quote.permit().targets().first();
    let rates = target.and_then(|target| quote.rates_of(target));
    let likely_input = i64::try_from(quote.bound().likely_input).unwrap_or(i64::MAX);
    let kind = Kind {
        attempt: 1,
        user_id: caller.user_id().into(),
        key_id: caller.key_id().into(),
        team_id: caller.team_id().map(Into::into),
        provider: target.map(|target| target.provider.as_str().into()).unwrap_or_default(),
        model: target.map(|target| target.model.as_str().into()).unwrap_or_default(),
        asked_model: order.asked_model.into(),
        dialect: order.dialect.into(),
        features: features_text(quote),
        streamed: i64::from(order.streamed),
        price: rates.map(|rates| rates.json().into()),
        price_version: rates.map(|rates| rates.version.as_str().into()),
        tool_fees: "{}".into(),
        tags: tags_text(&order.tags),
        ..Kind::default()
    };
    NewEntry {
        request_id: order.request_id,
        kind: kind.shared(),
        tokens: Tokens { input: likely_input, ..Tokens::default() },
        started_ms: now_ms,
        ..NewEntry::default()
    }
}

/// The features that a call uses, in order, with commas between them.
fn features_text(quote: &Quote) -> Cow<'static, str> {
    let mut names: Vec<_> = quote.permit().features().iter().map(|f| f.as_str()).collect();
    names.sort_unstable();
    match names.as_slice() {
        [one] => (*one).into(),
        several => several.join(",").into(),
    }
}

fn tags_text(tags: &BTreeMap<String, String>) -> Cow<'static, str> {
    if tags.is_empty() {
        return "{}".into();
    }
    serde_json::to_string(tags).map_or("{}".into(), Into::into)
}

impl Hold {
    /// The longest answer that every budget can pay for.
    pub fn max_output(&self) -> u64 {
        self.held.placed.max_output
    }

    /// Whether any budget limits how long the answer can be. If none does, the provider's own
    /// limit counts.
    pub fn is_limited(&self) -> bool {
        self.held.placed.limited
    }

    /// Whether a budget shortened the answer that the caller and the model would allow.
    pub fn is_clamped(&self) -> bool {
        self.held.placed.max_output < self.held.quote.bound().max_output
    }

    /// The call is about to be sent: from here on it has an entry, however it ends.
    pub fn sent(self) -> Meter {
        Meter::new(self.ending, self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_amounts_with_their_unit() {
        let mut budget = BudgetStatus {
            budget: "B".to_owned(),
            owner: "user:bob".to_owned(),
            resource: Resource::Cost,
            window: Window::Total,
            cap: 2_000_000,
            spent: 1_702_000,
            held: 0,
            resets_at_ms: None,
            provider: None,
            model: None,
            feature: None,
            soft: false,
        };
        let told =
            |budget: &BudgetStatus| HoldError::Exhausted(Box::new(budget.clone())).to_string();
        let cost = "the cost budget B of user:bob cannot pay for this request: of $0.002 in all, \
                    $0.001702 is spent and $0.00 is held by running requests";
        assert_eq!(told(&budget), cost);
        budget.resource = Resource::Tokens;
        budget.window = Window::Day;
        assert!(told(&budget).contains("of 2000000 in this day, 1702000 is spent"));
    }
}
