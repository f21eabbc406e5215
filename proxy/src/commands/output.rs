//! Tables for people, JSON for programs, on standard output. A closed pipe is no failure.

use super::Failure;
use clap::Args;
use comfy_table::{Table, presets};
use serde::Serialize;
use std::io::{ErrorKind, Write};

/// How a command says what it did.
#[derive(Debug, Args)]
pub(super) struct Format {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Format {
    /// Says it in a sentence, or in JSON.
    pub(super) fn tell(&self, sentence: &str, value: &impl Serialize) -> Result<(), Failure> {
        if self.json { json(value) } else { line(sentence) }
    }

    /// Whether a program reads it.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }
}

/// Prints one line.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints a value as JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string_pretty(value)?)
}

/// Prints a table, or a sentence when it is empty.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: Vec<[String; N]>,
    when_empty: &str,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return line(when_empty);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    // The last column is not padded: a terminal would wrap what nobody sees.
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    line(&lines.join("\n"))
}

/// A moment as people read it, in UTC.
pub(super) fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| ms.to_string(), |moment| moment.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}
