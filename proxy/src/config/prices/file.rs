//! Price files: the same `[[prices]]` as in the configuration, and the line of what is wrong.

use super::{PriceEntry, PriceError};
use crate::config::{ConfigError, suggest::with_suggestion};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use toml::{Spanned, Value};

/// A whole price file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    prices: Vec<PriceEntry>,
}

/// The places of prices in any file that has some.
#[derive(Deserialize)]
struct Places {
    prices: Vec<Spanned<BTreeMap<Spanned<String>, Value>>>,
}

/// Reads a price file: all of it is right, or none of it counts.
///
/// # Errors
/// The first thing that is wrong, with its line and, for a misspelt word, the nearest right one.
pub fn read_prices(path: &Path, text: &str) -> Result<Vec<PriceEntry>, ConfigError> {
    let wrong = |line: usize, message: &str| ConfigError::Line {
        path: path.to_owned(),
        line,
        message: message.to_owned(),
    };
    let written = toml::from_str::<Written>(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        wrong(line_at(text, at), &with_suggestion(error.message()))
    })?;
    for (number, entry) in written.prices.iter().enumerate() {
        let model = &entry.model;
        if let Err(error) = entry.check() {
            let line = line_of(text, number, &error);
            return Err(wrong(line, &format!("the price of {model:?}: {error}")));
        }
        let before = written.prices.iter().take(number);
        if before.into_iter().any(|other| other.model == *model) {
            let twice = PriceError { field: "model".to_owned(), message: String::new() };
            let line = line_of(text, number, &twice);
            return Err(wrong(line, &format!("{model:?} has a price already in this file")));
        }
    }
    if written.prices.is_empty() {
        return Err(wrong(1, "the file holds no [[prices]]"));
    }
    Ok(written.prices)
}

/// Writes a price file that [`read_prices`] reads.
///
/// # Errors
/// When TOML cannot say it; it can.
pub fn write_prices(prices: Vec<PriceEntry>) -> Result<String, toml::ser::Error> {
    toml::to_string(&Written { prices })
}

/// The line of a field of the price of this number; that of the price where the field is not there.
pub(in crate::config) fn line_of(text: &str, number: usize, error: &PriceError) -> usize {
    let Ok(places) = toml::from_str::<Places>(text) else { return 1 };
    let Some(price) = places.prices.get(number) else { return 1 };
    let field = error.field.split('.').next().unwrap_or_default();
    let mut fields = price.get_ref().keys();
    let key = fields.find(|key| key.get_ref() == field).map(Spanned::span);
    line_at(text, key.unwrap_or_else(|| price.span()).start)
}

fn line_at(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    before.filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# ours\n[[prices]]\nmodel = \"a/b\"\ninput = \"1\"\noutput = \"2\"\n\n\
        [[prices]]\nmodel = \"a/*\"\ninput = \"1\"\n";

    fn read(text: &str) -> Result<Vec<PriceEntry>, String> {
        read_prices(Path::new("p.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_reads_back() {
        let text = format!(
            "{GOOD}output = \"2\"\ncache_read = \"0.5\"\ngpu_second = \"0.0006\"\nmax_seconds = 60\n\
             tools = {{ web_search = \"10\", their_own = \"1\" }}\n\
             [prices.long_context]\nabove = 9\ninput = \"3\"\noutput = \"4\"\n"
        );
        let prices = read(&text).unwrap();
        assert_eq!(prices.len(), 2);
        assert_eq!(prices[1].tools["web_search"], "10");
        assert_eq!(read(&write_prices(prices.clone()).unwrap()), Ok(prices));
    }

    #[test]
    fn a_typo_in_a_price_file_is_told_with_path_line_and_suggestion_and_nothing_counts() {
        for (more, line, told) in [
            ("outptu = \"2\"", 10, "did you mean `output`?"),
            ("output = \"0,6\"", 10, "0,6"),
            ("output = 2", 10, "string"),
            ("output = \"2\"\ncache_read = \"-1\"", 11, "cache_read"),
            ("output = \"2\"\ntools = { web_serch = \"1\" }", 11, "did you mean \"web_search\"?"),
            ("output = \"2\"\ntools = { gpu_ms = \"1\" }", 11, "gpu_second"),
            ("output = \"2\"\ntools = { Search = \"1\" }", 11, "small letters"),
            ("output = \"2\"\ngpu_second = \"much\"", 11, "gpu_second"),
            ("output = \"2\"\nmax_seconds = 0", 11, "max_seconds"),
            (
                "output = \"2\"\n[prices.long_context]\nabove = 0\ninput = \"1\"\noutput = \"1\"",
                11,
                "above",
            ),
            ("output = \"99999999999\"", 10, "9 billion"),
            ("output = \"2\"\n[[price]]\nmodel = \"x/y\"", 11, "did you mean `prices`?"),
            (
                "output = \"2\"\n[[prices]]\nmodel = \"a/b\"\ninput = \"1\"\noutput = \"1\"",
                12,
                "already",
            ),
            (
                "output = \"2\"\n[[prices]]\nmodel = \"ab\"\ninput = \"1\"\noutput = \"1\"",
                12,
                "<provider>/<model>",
            ),
            (
                "output = \"2\"\n[[prices]]\nmodel = \"*/b\"\ninput = \"1\"\noutput = \"1\"",
                12,
                "at its end",
            ),
            ("output = \"2", 10, "p.toml"),
        ] {
            let error = read(&format!("{GOOD}{more}\n")).unwrap_err();
            assert!(error.starts_with(&format!("p.toml:{line}: ")), "{line}: {error}");
            assert!(error.contains(told), "{told} is not in: {error}");
        }
        assert!(read("").unwrap_err().contains("p.toml:1"));
        assert!(read("prices = []").unwrap_err().contains("no [[prices]]"));
    }
}
