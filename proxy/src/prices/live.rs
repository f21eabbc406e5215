//! The price list of a running server: it follows the database and the clock.

use super::{PriceList, stored};
use crate::{clock::Clock, store::PriceRow};
use std::{
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
};

/// The prices of a running server.
#[derive(Debug)]
pub struct Prices {
    /// Without the database's prices.
    base: PriceList,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
}

/// What is in force, and when.
#[derive(Debug, Default)]
struct State {
    rows: Arc<[PriceRow]>,
    list: Arc<PriceList>,
    /// The milliseconds for which the list holds: no price begins or ends within.
    holds: Range<i64>,
}

impl State {
    fn at(base: &PriceList, rows: Arc<[PriceRow]>, now_ms: i64) -> Self {
        let list = Arc::new(base.and_set(&rows, now_ms));
        let holds = stored::changed_at(&rows, now_ms)..stored::changes_at(&rows, now_ms);
        Self { rows, list, holds }
    }
}

impl Prices {
    /// Starts with the configuration's and the vendors' prices.
    pub fn new(base: PriceList, clock: Arc<dyn Clock>) -> Self {
        let state = RwLock::new(State::at(&base, Arc::default(), clock.now_ms()));
        Self { base, clock, state }
    }

    /// The prices in force now. A quote keeps the list that it was made with.
    pub fn current(&self) -> Arc<PriceList> {
        let now_ms = self.clock.now_ms();
        {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            if state.holds.contains(&now_ms) {
                return Arc::clone(&state.list);
            }
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !state.holds.contains(&now_ms) {
            *state = State::at(&self.base, Arc::clone(&state.rows), now_ms);
        }
        Arc::clone(&state.list)
    }

    /// Replaces the database's prices.
    pub fn replace(&self, rows: Vec<PriceRow>) {
        let state = State::at(&self.base, rows.into(), self.clock.now_ms());
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
