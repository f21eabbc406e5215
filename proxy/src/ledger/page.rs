//! What a batch does to the books, decided in memory and in the order of its messages.
//!
//! The page starts as the counters stand in a transaction that nobody else can write beside, so
//! that an end makes room for the holds after it, and no two holds take the same room. It does no
//! I/O: `batch` reads what goes onto it and writes what comes out of it.

use super::{
    alert::{self, Alerts},
    hold::{HoldError, Placed},
    known::Charged,
    scope,
    status::{self, Standing},
    writer::{Close, Message, PlaceHold},
};
use crate::{
    access::{Caller, Target},
    prices::Quote,
    store::{
        Booking, BudgetRow, Changes, Charge, Counters, NewHold, Owner, Share, StoreError,
        WindowChange, WindowKey,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use tollgate_types::Resource;

/// What a message comes to; told only once it is durable.
#[derive(Debug)]
pub(super) enum Answer {
    /// To a `Place`.
    Placed(Result<Placed, HoldError>),
    /// To a `Note`.
    Noted,
    /// To a `Close`: the budgets after the charge.
    Closed(Vec<Standing>),
}

/// The windows of an owner's living budgets, or why one of them cannot be read.
pub(super) type Chain = Result<Vec<WindowKey>, String>;

/// The part of the books that a batch touches.
#[derive(Debug, Default)]
pub(super) struct Page<'m> {
    now_ms: i64,
    chains: HashMap<Owner, Chain>,
    /// Ordered, so that every server changes windows in the same order.
    lines: BTreeMap<WindowKey, Line>,
    /// Holds that were open before the batch and that the batch may end.
    open: HashMap<Arc<str>, Arc<[Share]>>,
    placed: BTreeMap<&'m str, NewHold>,
    /// Those of `open` that ended.
    ended: Vec<Arc<str>>,
    notes: BTreeMap<&'m Arc<str>, i64>,
    bookings: Vec<Booking>,
    alerts: Alerts,
}

/// Windows as a batch leaves them.
pub(super) type Lines = Vec<(WindowKey, Charged)>;

/// A window as it stands at this point of the batch.
#[derive(Debug)]
struct Line {
    /// Or why it cannot be read.
    charged: Result<Charged, String>,
    change: Counters,
}

impl Line {
    fn add(&mut self, spent: i64, held: i64) {
        let add = |counters: &mut Counters| {
            counters.spent = counters.spent.saturating_add(spent);
            counters.held = counters.held.saturating_add(held);
        };
        add(&mut self.change);
        if let Ok(charged) = &mut self.charged {
            add(&mut charged.counters);
        }
    }

    fn charged(&self) -> Result<&Charged, StoreError> {
        self.charged.as_ref().map_err(|reason| StoreError::Row(reason.clone()))
    }

    fn standing(&self, now_ms: i64) -> Option<Standing> {
        self.charged.as_ref().ok().map(|charged| Standing { charged: charged.clone(), now_ms })
    }

    /// What a window can still count. A hard budget never gets there; a soft one takes any amount.
    fn countable(&self) -> i64 {
        let counters = self.charged.as_ref().map(|charged| charged.counters).unwrap_or_default();
        i64::MAX.saturating_sub(counters.spent).saturating_sub(counters.held).max(0)
    }

    /// Releases what a hold set aside and spends at most as much; of a soft budget, which cuts off
    /// no answer, as much as it came to. Returns what was spent.
    fn end(&mut self, amount: i64, close: &Close) -> i64 {
        let budget = self.charged.as_ref().map(|charged| charged.budget.as_ref()).ok();
        let most = match budget {
            Some(budget) if budget.enforcement == "soft" => amount.saturating_add(self.countable()),
            _ => amount,
        };
        let spent = charge_to(budget, close).min(most);
        self.add(spent, amount.saturating_neg());
        spent
    }
}

/// What a budget is charged for a call. One that cannot be read keeps counting requests.
fn charge_to(budget: Option<&BudgetRow>, close: &Close) -> i64 {
    let Charge { cost, tokens, requests } = close.charge;
    let Some(budget) = budget else { return requests };
    if close.entry.as_ref().is_some_and(|entry| !scope::counts(budget, entry)) {
        return 0;
    }
    match budget.resource.as_str() {
        "cost" => cost,
        "tokens" => tokens,
        _ => requests,
    }
}

impl<'m> Page<'m> {
    pub(super) fn new(now_ms: i64, open: HashMap<Arc<str>, Arc<[Share]>>) -> Self {
        Self { now_ms, open, ..Self::default() }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Windows that the holds to be ended were charged to.
    pub(super) fn charged(&self) -> BTreeSet<WindowKey> {
        self.open
            .values()
            .flat_map(|shares| shares.iter())
            .map(|share| share.window.clone())
            .collect()
    }

    pub(super) fn add_chain(&mut self, owner: Owner, chain: Chain) {
        self.chains.insert(owner, chain);
    }

    pub(super) fn add_line(&mut self, key: WindowKey, charged: Result<Charged, String>) {
        self.lines.insert(key, Line { charged, change: Counters::default() });
    }

    /// Applies one message.
    pub(super) fn apply(&mut self, message: &'m Message) -> Answer {
        match message {
            Message::Place(place) => Answer::Placed(self.place(place)),
            Message::Note { hold_id, delivered } => {
                self.note(hold_id, i64::try_from(*delivered).unwrap_or(i64::MAX));
                Answer::Noted
            }
            Message::Close(close) => Answer::Closed(self.close(close)),
        }
    }

    /// What there is to write, apart from alerts; every window of the page as the batch leaves it;
    /// and the alerts.
    pub(super) fn into_changes(self) -> (Changes, Lines, Alerts) {
        let (mut windows, mut lines) = (Vec::new(), Vec::new());
        for (window, Line { charged, change: Counters { spent, held } }) in self.lines {
            if (spent, held) != (0, 0) {
                windows.push(WindowChange { window: window.clone(), spent, held });
            }
            lines.extend(charged.ok().map(|charged| (window, charged)));
        }
        let changes = Changes {
            windows,
            placed: self.placed.into_values().collect(),
            ended: self.ended,
            notes: self
                .notes
                .into_iter()
                .map(|(id, delivered)| (Arc::clone(id), delivered))
                .collect(),
            bookings: self.bookings,
            alerts: Vec::new(),
        };
        (changes, lines, self.alerts)
    }

    /// Sets aside in every budget of the chain what the longest affordable answer costs.
    fn place(&mut self, place: &'m PlaceHold) -> Result<Placed, HoldError> {
        if self.placed.contains_key(&*place.hold_id) || self.open.contains_key(&place.hold_id) {
            return Err(StoreError::Taken.into());
        }
        let quote = &place.quote;
        let mut placed = Placed { max_output: quote.bound().max_output, limited: false };
        let mut shares = Vec::new();
        let now_ms = self.now_ms;
        for window in self.chain(quote.permit().caller())? {
            let line = self.line(&window)?;
            let charged = line.charged()?;
            if !scope::could_count(&charged.budget, quote.permit()) {
                continue;
            }
            let (resource, _) = status::terms(&charged.budget)?;
            if charged.budget.enforcement != "soft" {
                let affordable = affordable(quote, charged, (resource, now_ms))?;
                placed.max_output = placed.max_output.min(affordable);
                placed.limited |= resource != Resource::Requests;
            }
            shares.push((window, resource));
        }
        let mut held = Vec::with_capacity(shares.len());
        for (window, resource) in shares {
            let line = self.line(&window)?;
            let amount = quote.amount(resource, placed.max_output).min(line.countable());
            line.add(0, amount);
            held.push(Share { window, amount });
        }
        let new = NewHold {
            id: Arc::clone(&place.hold_id),
            node: Arc::clone(&place.node),
            draft: Arc::clone(&place.draft),
            delivered_tokens: 0,
            created_ms: self.now_ms,
            shares: held.into(),
        };
        self.placed.insert(&place.hold_id, new);
        Ok(placed)
    }

    fn chain(&self, caller: &Caller) -> Result<Vec<WindowKey>, StoreError> {
        let mut windows = Vec::new();
        for owner in caller.owners() {
            match self.chains.get(owner) {
                Some(Ok(chain)) => windows.extend_from_slice(chain),
                Some(Err(reason)) => return Err(StoreError::Row(reason.clone())),
                None => {}
            }
        }
        Ok(windows)
    }

    fn line(&mut self, window: &WindowKey) -> Result<&mut Line, StoreError> {
        self.lines.get_mut(window).ok_or_else(|| {
            StoreError::Row(format!("the budget {} has no open window", window.budget_id))
        })
    }

    fn note(&mut self, hold_id: &'m Arc<str>, delivered: i64) {
        match self.placed.get_mut(&**hold_id) {
            Some(new) => new.delivered_tokens = delivered,
            None => drop(self.notes.insert(hold_id, delivered)),
        }
    }

    /// Entry and release are one transaction. A hold that has ended already stays as it is.
    fn close(&mut self, close: &'m Close) -> Vec<Standing> {
        let hold_id = &close.hold_id;
        self.notes.remove(hold_id);
        let placed = self.placed.remove(&**hold_id).map(|new| new.shares);
        let Some(shares) = placed.or_else(|| self.end(hold_id)) else { return Vec::new() };
        let mut budgets = Vec::with_capacity(shares.len());
        let mut charges = Vec::with_capacity(shares.len());
        for Share { window, amount } in &*shares {
            // A budget that is gone or cannot be read keeps no end from being written.
            let Some(line) = self.lines.get_mut(window) else { continue };
            let amount = line.end(*amount, close);
            if close.reply.is_some() {
                budgets.extend(line.standing(self.now_ms));
            }
            if amount != 0 {
                if let Ok(charged) = &line.charged {
                    alert::note(&mut self.alerts, window, charged, self.now_ms);
                }
                charges.push(Share { window: window.clone(), amount });
            }
        }
        if let Some(entry) = &close.entry {
            self.bookings.push(Booking { entry: Arc::clone(entry), charges });
        }
        budgets
    }

    /// Ends a hold that was open before the batch; returns what it had set aside.
    fn end(&mut self, hold_id: &str) -> Option<Arc<[Share]>> {
        let (hold_id, shares) = self.open.remove_entry(hold_id)?;
        self.ended.push(hold_id);
        Some(shares)
    }
}

/// The longest answer that one budget can pay for.
pub(super) fn affordable(
    quote: &Quote,
    charged: &Charged,
    (resource, now_ms): (Resource, i64),
) -> Result<u64, HoldError> {
    let Charged { budget, counters: Counters { spent, held }, .. } = charged;
    if resource == Resource::Cost {
        check_priced(quote, budget)?;
    }
    let available = budget.cap_at(now_ms).saturating_sub(*spent).saturating_sub(*held);
    let whole = quote.bound().max_output;
    let refuses = budget.overrun == "refuse" || quote.permit().caller().refuses_overrun();
    match quote.affordable_output(resource, available) {
        Some(affordable) if !refuses || affordable >= whole => Ok(affordable),
        _ => Err(HoldError::Exhausted(Box::new(status::of_charged(charged, now_ms)?))),
    }
}

/// A budget that limits cost counts nothing that has no price.
fn check_priced(quote: &Quote, budget: &BudgetRow) -> Result<(), HoldError> {
    let counts = |target: &Target| scope::is_for(budget, &target.provider, &target.model);
    if let Some(target) = quote.unpriced().find(|target| counts(target)) {
        let (target, budget) = (target.clone(), budget.id.clone());
        return Err(HoldError::Unpriced { target, budget });
    }
    if let Some((target, tool)) = quote.unpriced_tools().find(|(target, _)| counts(target)) {
        let (target, tool, budget) = (target.clone(), tool.to_owned(), budget.id.clone());
        return Err(HoldError::UnpricedTool { target, tool, budget });
    }
    Ok(())
}
