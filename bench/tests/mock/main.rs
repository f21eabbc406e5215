//! The mock upstream over raw sockets: what it sends is read by code that knows only the vendors'
//! formats, and nothing of how the mock writes them.
#![cfg(test)]

mod wire;
mod openai_chat;
mod openai_responses;
mod anthropic;
mod google;
mod ollama;
mod shared;
mod program;
