//! The scoreboard: Tollgate beside other proxies, each a process of its own in front of the same fast
//! upstream, driven by the same callers, charged for the processor time that the kernel has counted.
//!
//! `make bench` runs it, docs/PERFORMANCE.md explains its figures. A round is short and the systems
//! take turns, so that what else the machine does hits all of them; figures are medians, and ratios
//! are medians of the ratios of single rounds.

mod clock;
mod framing;
mod canned;
mod upstream;
mod request;
mod samples;
mod unary;
mod streams;
mod accounting;
mod systems;
mod scenario;
mod round;
mod board;
mod table;
mod goals;
mod plot;
mod soak;

pub use board::{Board, Outcome, Plan, play};
pub use goals::{Goal, goals, goals_table};
pub use plot::svg;
pub use scenario::Scenario;
pub use soak::{Soak, Soaked};
pub use systems::{Kind, Programs};
pub use table::markdown;
pub use upstream::serve as serve_upstream;
