//! What calls cost: rates per model, the exact cost of what was used, the upper bound of what a
//! call could cost. Integers throughout; a division rounds once, upwards.

mod quote;
mod rates;

pub use quote::{Bound, Quote, quote};
pub use rates::{LongRates, PriceList, Rates};
