//! What a running call holds of its limits. Dropping it gives everything back.

use super::{
    Book, Call, Rates,
    shared::{Lease, Shared},
};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// A running call's place; dropping it gives the place back, at once.
#[derive(Debug)]
pub struct Slot {
    rates: Rates,
    tab: Tab,
    _places: Option<Places>,
    _server: OwnedSemaphorePermit,
}

impl Slot {
    /// The place of a call that nothing but the server's size limits.
    pub(super) fn unlimited(server: OwnedSemaphorePermit) -> Self {
        Self { rates: Rates::default(), tab: Tab(None), _places: None, _server: server }
    }

    /// The place of a call that its limits have admitted.
    pub(super) fn new(
        server: OwnedSemaphorePermit,
        rates: Rates,
        call: Call,
        (book, shared): (Arc<Book>, Option<Arc<Shared>>),
        lease: Option<Lease>,
    ) -> Self {
        let places = Places { book: Arc::clone(&book), call: call.clone(), _lease: lease };
        let tab = Tab(Some(Open { book, shared, call, used: 0 }));
        Self { rates, tab, _places: Some(places), _server: server }
    }

    /// How the caller stands to its rates.
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// What is open of the call's tokens: it may be closed later than the place is free.
    pub fn tab(&mut self) -> Tab {
        std::mem::take(&mut self.tab)
    }
}

/// Places of a call at its limits.
#[derive(Debug)]
struct Places {
    book: Arc<Book>,
    call: Call,
    _lease: Option<Lease>,
}

impl Drop for Places {
    fn drop(&mut self) {
        self.book.release(&self.call);
    }
}

/// Tokens that a call took when it was admitted. When this is dropped, those that it did not use are
/// given back, and those that it used beyond are a debt, which the next call pays first.
#[derive(Debug, Default)]
pub struct Tab(Option<Open>);

#[derive(Debug)]
struct Open {
    book: Arc<Book>,
    shared: Option<Arc<Shared>>,
    call: Call,
    used: u64,
}

impl Tab {
    /// The call has used this many tokens, in and out.
    pub fn used(&mut self, tokens: u64) {
        if let Some(open) = &mut self.0 {
            open.used = tokens;
        }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let Some(open) = self.0.take().filter(|open| open.used != open.call.tokens) else { return };
        open.book.correct(&open.call, open.used, open.book.now());
        if let Some(shared) = open.shared {
            shared.correct(&open.call, open.used);
        }
    }
}
