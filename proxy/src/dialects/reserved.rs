//! Fields that extras may not set, whichever way a reader at the upstream spells them.

use serde_json::{Map, Value};

/// A field's name as Go's JSON reader compares it: it does not tell upper from lower case, nor the
/// long s and the Kelvin sign from the letters they stand for. Ollama is written in Go, and so are
/// many hosts that speak other vendors' formats.
pub(crate) fn as_go_reads(key: &str) -> String {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).collect()
}

/// The first field of extras that some reader would take for one of these.
pub(crate) fn reserved_in<'a>(extras: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    let is_taken = |key: &&str| names.contains(&as_go_reads(key).as_str());
    extras.keys().map(String::as_str).find(is_taken)
}

/// The field that some reader would take for this one.
pub(crate) fn field<'a>(
    extras: &'a Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let fields = extras.iter().map(|(key, value)| (key.as_str(), value));
    fields.filter(move |(key, _)| as_go_reads(key) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_spelling_gets_a_field_past_the_list() {
        for key in ["model", "Model", "MODEL", "mOdel"] {
            let extras = Map::from_iter([("x".to_owned(), json!(1)), (key.to_owned(), json!(2))]);
            assert_eq!(reserved_in(&extras, &["n", "model"]), Some(key));
        }
        let extras = Map::from_iter([("fallbac\u{212a}\u{17f}".to_owned(), json!([]))]);
        assert!(reserved_in(&extras, &["fallbacks"]).is_some());
        assert_eq!(reserved_in(&extras, &["model"]), None);
    }
}
