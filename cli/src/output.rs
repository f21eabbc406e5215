//! Tables, JSON and comma-separated values on stdout.

use crate::failure::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use std::io::{Write, stdout};

/// Prints one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let mut out = stdout().lock();
    serde_json::to_writer(&mut out, value).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// Prints text as it is.
pub(crate) fn text(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A table as text.
pub(crate) fn table<const N: usize>(names: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(names);
    for row in rows {
        table.add_row(row);
    }
    for (column, name) in table.column_iter_mut().zip(names) {
        column.set_padding((0, 2));
        if NUMBERS.contains(&name) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{}\n", table.trim_fmt())
}

/// Columns that hold numbers are aligned to the right.
const NUMBERS: [&str; 11] = [
    "context",
    "in $/M",
    "out $/M",
    "requests",
    "tokens in",
    "tokens out",
    "cost",
    "ms",
    "cap",
    "spent",
    "left",
];

/// Comma-separated values as text (RFC 4180), with a line of names.
pub(crate) fn csv<const N: usize>(names: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut text = format!("{}\n", names.join(","));
    for row in rows {
        text.push_str(&row.map(|field| quoted(&field)).join(","));
        text.push('\n');
    }
    text
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_csv_are_quoted_where_they_must_be() {
        let row = [r#"a,"b""#.to_owned(), "c".to_owned()];
        assert_eq!(csv(["x", "y"], vec![row]), "x,y\n\"a,\"\"b\"\"\",c\n");
    }

    #[test]
    fn a_table_aligns_numbers_to_the_right() {
        let rows = vec![["a".to_owned(), "5".to_owned()], ["bb".to_owned(), "1000".to_owned()]];
        assert_eq!(table(["model", "cap"], rows), "model   cap\na         5\nbb     1000\n");
    }
}
