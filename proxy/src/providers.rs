//! Upstreams: each implements `Provider`.
