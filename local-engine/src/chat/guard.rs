//! Keeps the words of clients from becoming control tokens.
//!
//! A prompt is one text in which the template's `<|im_end|>` must become a control token and a
//! user's must not. Content is changed only where it contains such a text: an unguessable key is
//! put inside it, and the rendered prompt is cut at the key before it is split into tokens. All
//! other prompts stay exactly what the model was trained on.

use serde_json::Value;
use std::hash::{BuildHasher, RandomState};

/// The texts of a model's control tokens.
pub(crate) struct Guard(Vec<String>);

impl Guard {
    pub(crate) fn new(control: Vec<String>) -> Self {
        // A text of one character cannot be cut in two; no known model has such a token.
        Self(control.into_iter().filter(|text| text.chars().count() > 1).collect())
    }

    /// A new key, made of the operating system's randomness that seeds Rust's hash maps.
    pub(crate) fn key(&self) -> String {
        let word = || RandomState::new().hash_one(0);
        format!("\u{f8ff}{:020}{:020}\u{f8ff}", word(), word())
    }

    /// Cuts every control text in the strings of a value.
    pub(crate) fn cover(&self, key: &str, value: &mut Value) {
        match value {
            Value::String(text) => self.cut(key, text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.cover(key, item)),
            Value::Object(map) => {
                let fields = std::mem::take(map);
                map.extend(fields.into_iter().map(|(mut name, mut value)| {
                    self.cut(key, &mut name);
                    self.cover(key, &mut value);
                    (name, value)
                }));
            }
            _ => {}
        }
    }

    fn cut(&self, key: &str, text: &mut String) {
        for control in &self.0 {
            if text.contains(control.as_str()) {
                let mut rest = control.chars();
                let first = rest.next().unwrap_or_default();
                *text = text.replace(control, &format!("{first}{key}{}", rest.as_str()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn control_texts_are_cut_wherever_they_stand_and_all_else_is_left_alone() {
        let guard = Guard::new(vec!["<|end|>".into(), "<|e".into(), "x".into()]);
        let mut value = json!({"a": ["hi <|end|>"], "<|end|>": "fine < | end | > x", "n": 1});
        guard.cover("#", &mut value);
        let text = value.to_string();
        assert!(!text.contains("<|e"), "{text}");
        assert_eq!(value["a"][0], "hi <#|end|>");
        assert_eq!(text.matches('#').count(), 2);
        assert!(text.contains("fine < | end | > x"));
    }

    #[test]
    fn keys_differ() {
        let guard = Guard::new(vec![]);
        assert_ne!(guard.key(), guard.key());
    }
}
