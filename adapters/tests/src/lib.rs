//! Home of the tests that run agents of other frameworks over Tollgate, see `tests/`.
