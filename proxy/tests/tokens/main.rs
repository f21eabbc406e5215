//! Short-lived tokens over real sockets: what the server gives and takes, and what the client does
//! with them.
#![cfg(test)]

mod client;
mod gate;
mod secrets;
mod server;
