//! What operators change: users, keys, budgets, by command or over HTTP, all of it on record.
//!
//! [`Office`] has one function for each operation. Each is one transaction: the change, its row in
//! the audit trail, and the answer that a repetition under the same idempotency key gets.
//!
//! Read next: `work` (that transaction), then `users`, the shortest of its users.

mod alerts;
mod amounts;
pub mod audit;
mod budgets;
mod delegations;
mod error;
mod holds;
mod keys;
mod limits;
mod mandate;
mod prices;
mod names;
mod organisations;
mod raises;
mod teams;
mod terms;
mod tokens;
mod users;
mod work;

pub use alerts::AlertView;
pub use amounts::{Amount, MAX_CAP, moment_to_come, shown};
pub use budgets::{BudgetOrder, BudgetPatch, BudgetStanding, BudgetView};
pub use delegations::DelegationBounds;
pub use error::AdminError;
pub use holds::{HeldAmount, HoldQuery, HoldView};
pub use keys::{Issued, KeyMade, KeyPatch, KeyView, NewKey, Rotation};
pub use limits::{LimitOrder, LimitPatch, LimitView};
pub use mandate::{Actor, Mandate};
pub use names::check_pattern;
pub use organisations::{OrganisationOrder, OrganisationPatch};
pub use prices::{RemovedPrices, SetPrices};
pub use raises::RaiseOrder;
pub use teams::{TeamOrder, TeamPatch};
pub use terms::{BudgetScope, BudgetTerms, Overrun, check_percent};
pub use tokens::{TokenRotation, TokensAbout};
pub use users::{Gone, NewUser, UserOrder, UserPatch, UserView};
pub use work::{Repeatable, Start, Work};

use crate::{clock::Clock, store::Store};
use std::sync::Arc;

/// Where operators' changes are made.
#[derive(Clone, Debug)]
pub struct Office {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Office {
    /// Changes this store.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// What is changed.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The time.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}

#[cfg(test)]
mod tests;
