//! Limits over real admissions.
