//! Many calls over one WebSocket: a real server, real sockets, clients honest and hostile.
#![cfg(test)]

mod calls;
mod encrypted;
mod ends;
mod frames;
mod gate;
mod handshakes;
mod relay;
mod remote;
mod resumed;
mod wire;
