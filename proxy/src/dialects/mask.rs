//! Keeps credentials out of messages: OpenAI and others echo the key they refuse
//! (`Incorrect API key provided: sk-...`).

/// Beginnings of the keys of OpenAI, Groq, xAI, Google, Hugging Face, Replicate, Perplexity,
/// AWS and Tollgate itself.
const PREFIXES: [&str; 12] =
    ["sk-", "sk_", "pk-", "gsk_", "xai-", "AIza", "hf_", "r8_", "pplx-", "AKIA", "tg_", "eyJ"];

/// Words after which a provider repeats the key it was given.
const ANNOUNCEMENTS: [&str; 3] = ["provided:", "Bearer", "bearer"];

/// The text with everything that looks like a key replaced by stars.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut announced = false;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let blank = piece.get(word.len()..).unwrap_or_default();
        let hide = (announced && !word.is_empty()) || looks_like_a_key(word);
        masked.push_str(if hide { "***" } else { word });
        masked.push_str(blank);
        announced = ANNOUNCEMENTS.iter().any(|end| word.ends_with(end));
    }
    masked
}

/// Whether a word holds a known prefix, at its start or after punctuation, followed by enough
/// letters to be a key.
fn looks_like_a_key(word: &str) -> bool {
    word.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.*".contains(c)))
        .any(|token| token.len() >= 8 && PREFIXES.iter().any(|prefix| token.starts_with(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked_wherever_they_stand_and_other_words_stay() {
        let cases = [
            (
                "Incorrect API key provided: sk-proj-abc***xyz. See",
                "Incorrect API key provided: *** See",
            ),
            ("Incorrect API key provided: weird.", "Incorrect API key provided: ***"),
            ("(key=\"gsk_1234567890\")", "***"),
            ("header Bearer abcdef refused", "header Bearer *** refused"),
            ("the task-list is fine, model gpt-4o", "the task-list is fine, model gpt-4o"),
        ];
        for (text, masked) in cases {
            assert_eq!(mask(text), masked);
        }
    }
}
