//! Private databases: they do what their names say, and leave nothing behind.
#![cfg(test)]

mod postgres;
mod redis;
mod program;

use std::{
    io::ErrorKind,
    net::TcpStream,
    time::{Duration, Instant},
};

/// Whether somebody listens on a port of this machine.
fn listens(port: u16) -> bool {
    match TcpStream::connect(("127.0.0.1", port)) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            false
        }
    }
}

/// Polls until the condition holds.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Longer than any answer takes, and no longer than a test should.
const SILENCE: Duration = Duration::from_millis(500);
