//! Every way in over every kind of upstream, through a real server: a client must read the same
//! answer, the same end, the same usage and the same errors, whoever stands behind.
#![cfg(test)]

#[path = "../ollama_ingress/gate.rs"]
mod gate;

mod answers;
mod ask;
mod books;
mod failures;
mod read;
mod stops;
mod tools;
mod verbatim;
mod way;
