//! Text in lines of a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Text that commands nothing: control characters are left out, tabs are spaces.
pub(super) fn plain(text: &str) -> String {
    let shown = |c: &char| *c == '\n' || !c.is_control();
    text.replace('\t', "    ").chars().filter(shown).collect()
}

/// The beginning of a text that fits.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    text.chars().take_while(fits).collect()
}

/// A text in lines of at most so many columns, broken between words where that is possible.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    text.split('\n').flat_map(|line| wrap_line(line, columns.max(2))).collect()
}

fn wrap_line(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        if width(line.as_str()) + width(word.trim_end()) > columns && !line.is_empty() {
            lines.push(ended(&mut line));
        }
        let mut rest = word;
        while width(rest.trim_end()) > columns {
            let head = cut(rest, columns);
            rest = rest.get(head.len()..).unwrap_or_default();
            lines.push(head);
        }
        line.push_str(rest);
    }
    lines.push(ended(&mut line));
    lines
}

fn ended(line: &mut String) -> String {
    std::mem::take(line).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_within_long_ones() {
        for (text, lines) in [
            ("", vec![""]),
            ("one two", vec!["one", "two"]),
            ("a b c d", vec!["a b", "c d"]),
            ("abcdefghijk lm", vec!["abcd", "efgh", "ijk", "lm"]),
            ("one\n\ntwo", vec!["one", "", "two"]),
            ("日本語です", vec!["日本", "語で", "す"]),
        ] {
            assert_eq!(wrap(text, 4), lines, "{text}");
        }
    }
}
