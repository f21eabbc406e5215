//! What the writer remembers of the books from one batch to the next.
//!
//! Only as long as nobody else changes anything: SQLite tells, inside the transaction, whether
//! another connection has written since. PostgreSQL does not, so there nothing is remembered.

use super::{
    page::Chain,
    status,
    window::{Bounds, bounds},
};
use crate::store::{
    Books, BudgetRow, ChargedBudget, Counters, NewAlert, Owner, StoreError, WindowKey,
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
    pub(super) fn keep_alerts(&mut self, alerts: &[NewAlert]) {
        if self.alerted.len() > ROOM {
            self.alerted.clear();
        }
        self.alerted.extend(alerts.iter().map(|alert| {
            let NewAlert { budget_id, start_ms, percent, .. } = alert;
            (WindowKey { budget_id: budget_id.clone(), start_ms: *start_ms }, *percent)
        }));
    }

    /// Remembers windows as a batch leaves them, once it is durable.
    pub(super) fn keep(&mut self, lines: Vec<(WindowKey, Charged)>, commits: u64) {
        if self.version.is_some() {
            self.commits = commits;
            self.lines.extend(lines);
        }
    }
}

impl Term {
    fn of(budget: BudgetRow, now_ms: i64) -> Result<Self, StoreError> {
        let (_, window) = status::terms(&budget)?;
        let bounds = bounds(window, now_ms, &budget.time_zone);
        Ok(Self { budget, bounds })
    }

    /// The window that a moment is in; computed only when it is another than last time.
    fn window(&mut self, now_ms: i64) -> Result<(WindowKey, Option<i64>), String> {
        let Bounds { start_ms, end_ms } = self.bounds;
        if now_ms < start_ms || end_ms.is_some_and(|end_ms| now_ms >= end_ms) {
            let (_, window) = status::terms(&self.budget).map_err(reason)?;
            self.bounds = bounds(window, now_ms, &self.budget.time_zone);
        }
        let Bounds { start_ms, end_ms } = self.bounds;
        Ok((WindowKey { budget_id: self.budget.id.clone(), start_ms }, end_ms))
    }
}

/// Several calls may run into the same row: each is told the same.
pub(super) fn reason(error: StoreError) -> String {
    match error {
        StoreError::Row(text) => text,
        other => other.to_string(),
    }
}
