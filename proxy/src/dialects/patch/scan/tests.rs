//! What is accepted, against `serde_json`.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn is_accepted(text: &str) -> bool {
    match fields_of(text) {
        Ok(_) => true,
        Err(Wrong::Twice(key)) => panic!("{key} twice in {text}"),
        Err(_) => false,
    }
}

const GOOD: &[&str] = &[
    "0",
    "-0",
    "-1.5e+3",
    "1E5",
    "1e-400",
    "123456789012345678901234567890",
    "true",
    "null",
    r#""\u00e9\ud83e\udd80\/\b\f\n\r\t\"\\""#,
    "\"é🦀\u{7f}\"",
    "[]",
    "[ 1 , [ ] ]",
    "{ }",
];
const BAD: &[&str] = &[
    "",
    "01",
    "-",
    "+1",
    "1.",
    ".5",
    "1e",
    "1e+",
    "1e999",
    "-1e999",
    "tru",
    "nul",
    "nulll",
    "\"",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\ud800\"",
    "\"\\ud800\\u0041\"",
    "\"\\udc00\"",
    "\"\\ud800x\"",
    "\"\n\"",
    "\"\u{1}\"",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[",
    "]",
    "{",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{1:1}",
    "{\"a\" 1}",
    "\"é",
    "NaN",
];

#[test]
fn what_serde_json_reads_is_accepted_and_nothing_else() {
    for (text, expected) in GOOD.iter().map(|t| (t, true)).chain(BAD.iter().map(|t| (t, false))) {
        let object = format!("{{\"f\": {text} }}");
        assert_eq!(is_accepted(&object), expected, "{object}");
        assert_eq!(serde_json::from_str::<Value>(&object).is_ok(), expected, "{object}");
    }
    let long = format!("{{\"f\":{}}}", "9".repeat(400));
    assert!(!is_accepted(&long) && serde_json::from_str::<Value>(&long).is_err());
    for (text, wrong) in
        [("[]", Wrong::NoObject), ("", Wrong::NoObject), ("{} x", Wrong::Syntax(3))]
    {
        assert_eq!(fields_of(text).map(drop), Err(wrong));
    }
}

#[test]
fn the_depth_is_that_of_serde_json() {
    for (depth, accepted) in [(125, true), (126, true), (127, false), (50_000, false)] {
        let text = format!("{{\"f\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(is_accepted(&text), accepted, "{depth}");
        assert_eq!(serde_json::from_str::<Value>(&text).is_ok(), accepted, "{depth}");
    }
}

#[test]
fn a_field_that_is_there_twice_is_found_at_any_depth_in_any_spelling() {
    let many: String = (0..100).map(|n| format!("\"{n}\":0,")).collect();
    for (body, name) in [
        ("{\"a\":1,\"a\":2}".to_owned(), "a"),
        ("{\"a\":1,\"\\u0061\":2}".to_owned(), "a"),
        ("{\"x\":[{\"y\":{\"b\":1,\"c\":2,\"b\":3}}]}".to_owned(), "b"),
        (format!("{{{many}\"7\":1}}"), "7"),
        (format!("{{{many}\"99\":1}}"), "99"),
    ] {
        assert_eq!(fields_of(&body).map(drop), Err(Wrong::Twice(name.to_owned())), "{body}");
    }
    assert!(is_accepted(&format!("{{{many}\"100\":{{\"100\":1}}}}")));
}

proptest! {
    #[test]
    fn broken_documents_are_judged_as_serde_json_judges_them(
        text in "\\{\"a\":[\\[\\]{}\":,0-9eE+.tu\\\\ \\-a-f]{0,24}\\}",
    ) {
        let read = serde_json::from_str::<Value>(&text).is_ok();
        match fields_of(&text) {
            Err(Wrong::Twice(_)) => {}
            scanned => prop_assert_eq!(scanned.is_ok(), read, "{}", text),
        }
    }
}
