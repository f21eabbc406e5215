//! What the writer remembers of the books from one batch to the next.
//!
//! Only as long as nobody else changes anything: SQLite tells, inside the transaction, whether
//! another connection has written since. PostgreSQL does not, so there nothing is remembered.
//!
//! A batch about which everything is remembered is decided from memory and only journaled; see
//! [`Pending`] for what the tables do not say by then.

use super::{
    page::{Chain, Lines, Page},
    status,
    window::{Bounds, bounds},
    writer::Message,
};
use crate::store::{
    Books, BudgetRow, Changes, ChargedBudget, Counters, NewAlert, Owner, Pending, Share,
    StoreError, WindowKey,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

/// Windows remembered at most; then everything is read anew.
const ROOM: usize = 65_536;

/// Windows that a batch may open, each with its end.
pub(super) type Windows = BTreeMap<WindowKey, Option<i64>>;

/// A budget with the counters of one window.
#[derive(Clone, Debug)]
pub(super) struct Charged {
    pub budget: Arc<BudgetRow>,
    pub counters: Counters,
    /// When the window ends.
    pub end_ms: Option<i64>,
}

impl From<ChargedBudget> for Charged {
    fn from(row: ChargedBudget) -> Self {
        let ChargedBudget { budget, counters, end_ms } = row;
        Self { budget: Arc::new(budget), counters, end_ms }
    }
}

/// A budget and the window that it was in last.
#[derive(Debug)]
struct Term {
    budget: BudgetRow,
    budget_id: Arc<str>,
    bounds: Bounds,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Known {
    version: Option<i64>,
    /// Of the connection, as of the last batch: it may have written something else since.
    commits: u64,
    /// The budgets of owners, or why one of them cannot be read.
    owners: HashMap<Owner, Result<Vec<Term>, String>>,
    lines: HashMap<WindowKey, Charged>,
    /// What open holds set aside.
    holds: HashMap<Arc<str>, Arc<[Share]>>,
    /// What is in the journal; all of it, once the journal was read or found empty.
    pending: Option<Pending>,
    /// Alerts that are in the books, with their percentages: no row of them is ever taken out.
    alerted: HashSet<(WindowKey, i64)>,
}

impl Known {
    /// Forgets everything unless the books are as they were: asked within a transaction.
    pub(super) async fn refresh(&mut self, books: &mut Books) -> Result<(), StoreError> {
        let version = books.version().await?;
        let same = version.is_some() && (version, books.commits()) == (self.version, self.commits);
        if !same || self.lines.len() > ROOM {
            self.forget();
        }
        (self.version, self.commits) = (version, books.commits());
        Ok(())
    }

    /// What the books' version was when all of this was true.
    pub(super) fn version(&self, books: &Books) -> Option<i64> {
        self.version.filter(|_| self.commits == books.commits())
    }

    /// A transaction of this connection was made durable that changed nothing of this.
    pub(super) fn committed(&mut self, commits: u64) {
        self.commits = commits;
    }

    /// Nothing is certain any more.
    pub(super) fn forget(&mut self) {
        *self = Self { alerted: std::mem::take(&mut self.alerted), ..Self::default() };
    }

    /// Reads the budgets of those owners that are not known.
    pub(super) async fn learn(
        &mut self,
        books: &mut Books,
        owners: BTreeSet<&Owner>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let unknown: Vec<Owner> =
            owners.into_iter().filter(|owner| !self.owners.contains_key(owner)).cloned().collect();
        let found = books.budgets_of(&unknown).await?;
        for owner in &unknown {
            self.owners.insert(owner.clone(), Ok(Vec::new()));
        }
        for found in found {
            let Some(owner) = unknown.get(found.asked) else { continue };
            let Some(terms) = self.owners.get_mut(owner) else { continue };
            match found.row.and_then(|budget| Term::of(budget, now_ms)) {
                Ok(term) => {
                    if let Ok(terms) = terms {
                        terms.push(term);
                    }
                }
                Err(error) => *terms = Err(reason(error)),
            }
        }
        Ok(())
    }

    /// The windows that an owner's budgets are in, each also put to those that may be opened.
    pub(super) fn chain(&mut self, owner: &Owner, now_ms: i64, current: &mut Windows) -> Chain {
        match self.owners.get_mut(owner) {
            None => Ok(Vec::new()),
            Some(Err(reason)) => Err(reason.clone()),
            Some(Ok(terms)) => {
                let mut chain = Vec::with_capacity(terms.len());
                for term in terms {
                    let (window, end_ms) = term.window(now_ms)?;
                    current.insert(window.clone(), end_ms);
                    chain.push(window);
                }
                Ok(chain)
            }
        }
    }

    /// A window as it stood after the last batch.
    pub(super) fn line(&self, window: &WindowKey) -> Option<&Charged> {
        self.lines.get(window)
    }

    /// Whether an alert is in the books already.
    pub(super) fn has_alerted(&self, window: &WindowKey, percent: i64) -> bool {
        self.alerted.contains(&(window.clone(), percent))
    }

    /// Remembers alerts, once they are durable.
    fn keep_alerts(&mut self, alerts: &[NewAlert]) {
        if self.alerted.len() > ROOM {
            self.alerted.clear();
        }
        self.alerted.extend(alerts.iter().map(|alert| {
            let NewAlert { budget_id, start_ms, percent, .. } = alert;
            (WindowKey { budget_id: budget_id.as_str().into(), start_ms: *start_ms }, *percent)
        }));
    }

    /// Remembers windows, holds and alerts as a batch leaves them, once it is durable.
    pub(super) fn keep(&mut self, changes: &Changes, lines: Lines, commits: u64) {
        self.keep_alerts(&changes.alerts);
        if self.version.is_none() {
            return;
        }
        self.commits = commits;
        self.lines.extend(lines);
        for hold_id in &changes.ended {
            self.holds.remove(hold_id);
        }
        let placed = changes.placed.iter();
        self.holds.extend(placed.map(|new| (Arc::clone(&new.id), Arc::clone(&new.shares))));
    }

    /// Remembers what is in the journal now.
    pub(super) fn keep_journaled(&mut self, changes: Changes) {
        if let Some(pending) = &mut self.pending {
            pending.add(changes);
        }
    }

    /// What the journal holds, to be applied; nothing when it is empty.
    ///
    /// # Errors
    /// When the journal must be read and cannot be.
    pub(super) async fn take_pending(
        &mut self,
        books: &mut Books,
    ) -> Result<Option<Pending>, StoreError> {
        match self.pending.replace(Pending::default()) {
            Some(pending) => Ok((!pending.is_empty()).then_some(pending)),
            None => books.journaled().await,
        }
    }

    /// What is in the journal and not in the tables, as far as is known.
    pub(super) fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref().filter(|pending| !pending.is_empty())
    }

    /// The page of a batch about which everything is remembered.
    pub(super) fn page<'m>(&mut self, messages: &'m [Message], now_ms: i64) -> Option<Page<'m>> {
        self.pending.as_ref()?;
        let mut page = Page::new(now_ms, self.holds_to_end(messages)?);
        let mut current = Windows::new();
        for owner in payers(messages) {
            if !self.owners.contains_key(owner) {
                return None;
            }
            page.add_chain(owner.clone(), self.chain(owner, now_ms, &mut current));
        }
        let mut wanted = page.charged();
        wanted.extend(current.into_keys());
        for window in wanted {
            let line = self.lines.get(&window)?.clone();
            page.add_line(window, Ok(line));
        }
        Some(page)
    }

    /// The holds that a batch may end, apart from those that it places itself.
    fn holds_to_end(&self, messages: &[Message]) -> Option<HashMap<Arc<str>, Arc<[Share]>>> {
        let mut placed = HashSet::new();
        let mut open = HashMap::new();
        for message in messages {
            match message {
                Message::Place(place) if self.holds.contains_key(&place.hold_id) => return None,
                Message::Place(place) => drop(placed.insert(&*place.hold_id)),
                Message::Close(close) => match self.holds.get(&close.hold_id) {
                    Some(shares) => {
                        drop(open.insert(Arc::clone(&close.hold_id), Arc::clone(shares)))
                    }
                    None if placed.contains(&*close.hold_id) => {}
                    None => return None,
                },
                Message::Note { .. } => {}
            }
        }
        Some(open)
    }
}

/// Everyone who is to pay for a hold.
pub(super) fn payers(messages: &[Message]) -> BTreeSet<&Owner> {
    let callers = messages.iter().filter_map(|message| match message {
        Message::Place(place) => Some(place.quote.permit().caller()),
        _ => None,
    });
    // Many calls of one key come together, and its owners are sorted once.
    let mut seen = HashSet::new();
    let callers = callers.filter(|caller| seen.insert(Arc::as_ptr(caller)));
    callers.flat_map(|caller| caller.owners()).collect()
}

impl Term {
    fn of(budget: BudgetRow, now_ms: i64) -> Result<Self, StoreError> {
        let (_, window) = status::terms(&budget)?;
        let bounds = bounds(window, now_ms, &budget.time_zone);
        let budget_id = budget.id.as_str().into();
        Ok(Self { budget, budget_id, bounds })
    }

    /// The window that a moment is in; computed only when it is another than last time.
    fn window(&mut self, now_ms: i64) -> Result<(WindowKey, Option<i64>), String> {
        let Bounds { start_ms, end_ms } = self.bounds;
        if now_ms < start_ms || end_ms.is_some_and(|end_ms| now_ms >= end_ms) {
            let (_, window) = status::terms(&self.budget).map_err(reason)?;
            self.bounds = bounds(window, now_ms, &self.budget.time_zone);
        }
        let Bounds { start_ms, end_ms } = self.bounds;
        Ok((WindowKey { budget_id: Arc::clone(&self.budget_id), start_ms }, end_ms))
    }
}

/// Several calls may run into the same row: each is told the same.
pub(super) fn reason(error: StoreError) -> String {
    match error {
        StoreError::Row(text) => text,
        other => other.to_string(),
    }
}
