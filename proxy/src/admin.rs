//! What operators change: users, keys, budgets, by command or over HTTP, all of it on record.
//!
//! [`Office`] has one function for each operation. Each is one transaction: the change, its row in
//! the audit trail, and the answer that a repetition under the same idempotency key gets.
//!
//! Read next: `work` (that transaction), then `users`, the shortest of its users.

pub mod audit;
mod error;
mod mandate;
mod work;

pub use error::AdminError;
pub use mandate::{Actor, Mandate};
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
