//! Names of dated snapshots: `gpt-4o-2024-08-06` is `gpt-4o`.

use jiff::civil::Date;

/// The name that a snapshot's name begins with, when nothing but a date or a version follows:
/// `-2024-08-06`, `-20250514`, `@20250514`, `-001` or `-latest`. Other endings make another model:
/// `gpt-4o-mini` is not `gpt-4o`. Four digits (`-0613`) are no date here, since snapshots with such
/// names had prices of their own.
pub(super) fn base_of(id: &str) -> Option<&str> {
    if let Some(base) = id.strip_suffix("-latest") {
        return Some(base);
    }
    if let Some((base, date)) = split_before(id, "-2024-08-06".len()) {
        return date
            .strip_prefix('-')
            .filter(|date| is_day(date))
            .map(|_| base)
            .or_else(|| short(id));
    }
    short(id)
}

/// As [`base_of`], for the endings without dashes in them.
fn short(id: &str) -> Option<&str> {
    let at = id.rfind(['-', '@'])?;
    let (base, ending) = (id.get(..at)?, id.get(at + 1..)?);
    let digits = ending.bytes().all(|byte| byte.is_ascii_digit());
    match ending.len() {
        3 if digits && id.get(at..=at) == Some("-") => Some(base),
        8 if digits => {
            let day = format!("{}-{}-{}", ending.get(..4)?, ending.get(4..6)?, ending.get(6..)?);
            is_day(&day).then_some(base)
        }
        _ => None,
    }
}

fn split_before(id: &str, length: usize) -> Option<(&str, &str)> {
    let at = id.len().checked_sub(length)?;
    id.split_at_checked(at)
}

/// `2024-08-06`, and nothing looser.
fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::base_of;

    #[test]
    fn dates_and_versions_end_a_name_and_nothing_else_does() {
        for (id, base) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("gpt-4o-mini-2024-07-18", Some("gpt-4o-mini")),
            ("claude-sonnet-4-20250514", Some("claude-sonnet-4")),
            ("claude-sonnet-4@20250514", Some("claude-sonnet-4")),
            ("gemini-2.0-flash-001", Some("gemini-2.0-flash")),
            ("claude-3-7-sonnet-latest", Some("claude-3-7-sonnet")),
            ("gpt-4o-mini", None),
            ("gpt-4-0613", None),
            ("gpt-4o-2024-13-40", None),
            ("gpt-4o-2024-08-6", None),
            ("m-99999999", None),
            ("m@001", None),
            ("ä-20250514", Some("ä")),
            ("ääääääääääää", None),
            ("20250514", None),
            ("", None),
        ] {
            assert_eq!(base_of(id), base, "{id}");
        }
    }
}
