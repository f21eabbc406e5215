//! Reports on both engines.
