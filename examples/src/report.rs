//! The end of every program here: what it has to say, and its exit code.

use std::{
    error::Error,
    fmt::Display,
    io::{Write, stderr, stdout},
    process::ExitCode,
};

/// Prints what a program came to, or why it failed, and says the exit code.
pub fn report(outcome: Result<impl Display, Box<dyn Error>>) -> ExitCode {
    let (told, code) = match outcome {
        Ok(said) => (write!(stdout(), "{said}"), ExitCode::SUCCESS),
        Err(error) => (writeln!(stderr(), "error: {error}"), ExitCode::FAILURE),
    };
    // Whoever read the output may have left.
    if told.is_ok() { code } else { ExitCode::FAILURE }
}
