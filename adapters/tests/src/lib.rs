//! What the tests of adapters and examples share: mocks of all vendors, and a server before them.

mod place;

pub use place::{Place, VENDORS, requests};
