//! Home of the tests that run Rust's own clients of AI vendors against a Tollgate server, see
//! `tests/` and `docs/recipes.md`.
