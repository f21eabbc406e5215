//! Ids of tool calls, made to fit where they go.
//!
//! A conversation may move from one provider to another, and each accepts other ids. A call and its
//! result pass through the same function, so they still belong together, without any table.

use std::borrow::Cow;

/// What a provider accepts as the id of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdRule {
    /// OpenAI's chat completions: at most 40 characters
    /// (`Invalid 'messages[1].tool_calls[0].id': string too long`).
    OpenAiChat,
    /// OpenAI's responses: at most 64 characters.
    OpenAiResponses,
    /// Anthropic: `^[a-zA-Z0-9_-]+$`, at most 64 characters.
    Anthropic,
    /// Mistral: nine letters or digits, no more and no less.
    Mistral,
    /// Anything that is not empty.
    Any,
}

impl IdRule {
    fn accepts(self, id: &str) -> bool {
        let wordy = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        !id.is_empty()
            && match self {
                Self::OpenAiChat => id.len() <= 40,
                Self::OpenAiResponses => id.len() <= 64,
                Self::Anthropic => id.len() <= 64 && id.chars().all(wordy),
                Self::Mistral => id.len() == 9 && id.chars().all(|c| c.is_ascii_alphanumeric()),
                Self::Any => true,
            }
    }
}

/// The id itself where the rule accepts it, else one that is made from it: the same each time, and
/// another one for every other id.
pub fn fit(id: &str, rule: IdRule) -> Cow<'_, str> {
    if rule.accepts(id) {
        return Cow::Borrowed(id);
    }
    let digest = blake3::hash(id.as_bytes());
    let letters: String = digest.to_hex().chars().take(40).collect();
    Cow::Owned(match rule {
        // Nine characters of 36 kinds: 46 bits keep the calls of one conversation apart.
        IdRule::Mistral => base36(digest.as_bytes(), 9),
        _ => format!("call_{}", letters.get(..32).unwrap_or(&letters)),
    })
}

fn base36(digest: &[u8], length: usize) -> String {
    const DIGITS: [char; 36] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h',
        'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z',
    ];
    let digit = |byte: &u8| DIGITS.get(usize::from(*byte) % DIGITS.len()).copied();
    digest.iter().filter_map(digit).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const FOREIGN: [&str; 7] = [
        "functions.add:0",
        "call-0b1c2d3e-4f5a-6b7c-8d9e-0f1a2b3c4d5e-0",
        "chatcmpl-tool-0123456789abcdef0123456789abcdef",
        "toolu_01A09q90qw90lq917835lq9",
        "a b/c",
        "ünïcödé",
        "",
    ];

    #[test]
    fn every_made_up_id_satisfies_its_rule_and_is_the_same_each_time() {
        for rule in
            [IdRule::OpenAiChat, IdRule::OpenAiResponses, IdRule::Anthropic, IdRule::Mistral]
        {
            let made: BTreeSet<_> = FOREIGN.iter().map(|id| fit(id, rule).into_owned()).collect();
            assert_eq!(made.len(), FOREIGN.len(), "{rule:?}");
            for id in FOREIGN {
                assert!(rule.accepts(&fit(id, rule)), "{rule:?} {id}");
                assert_eq!(fit(id, rule), fit(id, rule));
            }
        }
    }

    #[test]
    fn an_id_that_fits_stays() {
        for (id, rule) in [
            ("call_abc", IdRule::OpenAiChat),
            ("toolu_01", IdRule::Anthropic),
            ("a1B2c3D4e", IdRule::Mistral),
            ("functions.add:0", IdRule::Any),
        ] {
            assert_eq!(fit(id, rule), id);
        }
    }
}
