//! The Tollgate server. The order of the modules below is the floor plan, lowest first.

pub mod dialects;
pub mod providers;
