//! The Tollgate server: real provider keys and local models behind it, Tollgate keys in front.
//!
//! The order of the modules below IS the floor plan, lowest first: a module imports only modules
//! that stand above it in this file. A test reads this file and fails on an upward import.
//! Start with [`gateway`]: it is the product.

// ground: time, names, tasks
pub mod clock;
pub mod ids;
pub mod tasks;
// pure translation, no I/O
pub mod dialects;
// what the operator said, and what the operator sees
pub mod config;
pub mod telemetry;
// what is known about models before anyone is asked
pub mod registry;
// the only SQL
pub mod store;
// gates: who may, how often, for how much, out of which budget
pub mod access;
pub mod limits;
pub mod prices;
pub mod ledger;
// what operators change, and the record of it
pub mod admin;
// upstreams
pub mod providers;
// who is told
pub mod alerts;
// which upstream
pub mod catalog;
pub mod routing;
// the path of a request
pub mod gateway;
// calls that outlive their connection
pub mod runs;
// ways in
pub mod ingress;
// running
pub mod doctor;
pub mod app;
pub mod serve;
pub mod commands;
