//! The operators' API of a real server, on both databases.
#![cfg(test)]

mod bad_input;
mod gate;
mod life;
mod load;
mod roles;
