//! The same dialect in front and behind: what is sent and what comes back is passed on as it is.
