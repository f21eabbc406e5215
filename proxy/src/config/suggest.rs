//! "Did you mean": the nearest word among those that would have been right.

/// Adds the nearest of the expected words to a message of serde's about an unknown word.
/// Such a message names the words in back-ticks, the wrong one first.
pub(super) fn with_suggestion(message: &str) -> String {
    let about_words = ["unknown field", "unknown variant"].iter().any(|w| message.contains(w));
    let told = message.find("unknown ").and_then(|start| message.get(start..)).unwrap_or_default();
    let mut words = told.split('`').skip(1).step_by(2);
    let nearest = words.next().filter(|_| about_words).and_then(|wrong| {
        words
            .map(|word| (strsim::damerau_levenshtein(wrong, word), word))
            .filter(|(distance, word)| *distance <= word.len().div_ceil(2))
            .min()
    });
    match nearest {
        Some((_, word)) => format!("{}\ndid you mean `{word}`?", message.trim_end()),
        None => message.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_nonsense_is_not() {
        let message = "unknown field `lisen`, expected one of `listen`, `drain_seconds`";
        assert!(with_suggestion(message).ends_with("did you mean `listen`?"));
        let message = "unknown field `xyzzyplugh`, expected one of `listen`, `url`";
        assert_eq!(with_suggestion(message), message);
        assert_eq!(with_suggestion("invalid type: `a`"), "invalid type: `a`");
    }
}
