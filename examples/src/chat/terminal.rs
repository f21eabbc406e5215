//! The real terminal, which is left as it was found.

use crossterm::{
    ExecutableCommand,
    event::{DisableBracketedPaste, EnableBracketedPaste, Event, EventStream},
    terminal::{
        EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
    },
};
use futures_util::Stream;
use std::io::{self, Stdout, Write, stdout};

/// The terminal while a program draws on it.
#[derive(Debug)]
pub struct Terminal(Stdout);

impl Terminal {
    /// Takes the terminal over until this is dropped.
    ///
    /// # Errors
    /// When there is none.
    pub fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        let mut terminal = Self(stdout());
        terminal.0.execute(EnterAlternateScreen)?.execute(EnableBracketedPaste)?;
        Ok(terminal)
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// When the terminal does not say.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        size()
    }

    /// What is typed.
    pub fn keys(&self) -> impl Stream<Item = io::Result<Event>> + use<> {
        EventStream::new()
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Drop for Terminal {
    /// There is nobody to tell if it fails.
    fn drop(&mut self) {
        drop(self.0.execute(DisableBracketedPaste));
        drop(self.0.execute(LeaveAlternateScreen));
        drop(disable_raw_mode());
    }
}
