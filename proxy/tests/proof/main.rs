//! Proof that a model behind the server is the same model: one suite for every provider, direct and
//! remote, and the two compared event for event.
#![cfg(test)]
#![expect(clippy::print_stdout, reason = "what was measured is for people to see")]

mod conformance;
mod corpus;
mod leaving;
mod place;
mod replay;
mod same;
mod subject;
mod told;
mod transports;
mod vendor;
mod wishes;
