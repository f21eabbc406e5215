//! Prices: of every kind, from every source, as they change, and what they never change.
#![cfg(test)]

mod calls;
mod changes;
mod commands;
mod desk;
