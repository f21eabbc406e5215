//! Upstreams: each implements `Provider`.

pub mod openai;
