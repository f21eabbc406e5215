//! What calls cost: rates per model, the exact cost of what was used, the upper bound of what a
//! call could cost. Integers throughout; a division rounds once, upwards.
//!
//! Prices come from the database, the configuration and the vendors' lists. Every entry keeps the
//! price that it was made with, and its name: a change never prices an entry again.

pub mod changes;
mod fees;
mod list;
mod live;
mod quote;
mod rates;
pub mod recompute;
mod stored;

pub use fees::FeeBounds;
pub use list::PriceList;
pub use live::Prices;
pub use quote::{Bound, Quote, quote};
pub use rates::{LongRates, Rates, TimeRate};
