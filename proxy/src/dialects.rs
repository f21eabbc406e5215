//! Pure translation between each vendor's wire format and the common vocabulary; no I/O.

pub mod openai;
