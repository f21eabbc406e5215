//! Alerts against a real receiver.
