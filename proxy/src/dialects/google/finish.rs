//! Why the model stopped, in Google's words.

use serde_json::Value;
use tollgate_types::{Finish, FinishReason};

/// The words in the order of their numbers, which come with `enum-encoding=int` (Vertex AI,
/// `Candidate.FinishReason`; the two APIs agree as far as 5).
const NUMBERED: [&str; 10] = [
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
];

const WITHHELD: [&str; 11] = [
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "MODEL_ARMOR",
    "JAILBREAK",
];

/// The word of a finish reason, which may be a number; nothing where no reason is given.
pub(super) fn word(value: &Value) -> Option<String> {
    let word = match value {
        Value::String(word) => word.clone(),
        Value::Number(number) => {
            let at = number.as_u64().and_then(|n| usize::try_from(n).ok());
            at.and_then(|n| NUMBERED.get(n)).map_or_else(|| number.to_string(), |w| (*w).to_owned())
        }
        _ => return None,
    };
    (!word.is_empty() && word != "FINISH_REASON_UNSPECIFIED").then_some(word)
}

/// Reads a finish reason. It is `STOP` although calls wait, so the calls decide.
pub(super) fn decode(raw: Option<&str>, wants_tools: bool) -> Finish {
    let reason = match raw {
        Some("STOP") if wants_tools => FinishReason::ToolCalls,
        Some("STOP") => FinishReason::Stop,
        Some("MAX_TOKENS") => FinishReason::Length,
        Some(word) if WITHHELD.contains(&word) => FinishReason::ContentFilter,
        _ => FinishReason::Other,
    };
    Finish { reason, raw: raw.map(str::to_owned) }
}

/// The word that Google's clients know: the provider's own, if it is one of Google's.
pub(super) fn encode(finish: &Finish) -> &str {
    let own = finish.raw.as_deref().unwrap_or_default();
    match finish.reason {
        FinishReason::Stop | FinishReason::ToolCalls => "STOP",
        FinishReason::Length | FinishReason::BudgetExhausted => "MAX_TOKENS",
        FinishReason::ContentFilter if WITHHELD.contains(&own) => own,
        FinishReason::ContentFilter => "SAFETY",
        FinishReason::Other if is_word(own) => own,
        _ => "OTHER",
    }
}

/// Google's words are in capitals, no other provider's of those that have no common meaning are.
fn is_word(own: &str) -> bool {
    own.contains('_') && own.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_and_numbers_are_read_and_written_back() {
        for (raw, word_of) in [
            (json!("STOP"), Some("STOP")),
            (json!(1), Some("STOP")),
            (json!(2), Some("MAX_TOKENS")),
            (json!(99), Some("99")),
            (json!(0), None),
            (json!("FINISH_REASON_UNSPECIFIED"), None),
            (Value::Null, None),
        ] {
            assert_eq!(word(&raw).as_deref(), word_of, "{raw}");
        }
        for (raw, reason) in [
            ("STOP", FinishReason::Stop),
            ("MAX_TOKENS", FinishReason::Length),
            ("RECITATION", FinishReason::ContentFilter),
            ("MODEL_ARMOR", FinishReason::ContentFilter),
            ("MALFORMED_FUNCTION_CALL", FinishReason::Other),
        ] {
            let finish = decode(Some(raw), false);
            assert_eq!((finish.reason, encode(&finish)), (reason, raw));
        }
        assert_eq!(decode(Some("STOP"), true).reason, FinishReason::ToolCalls);
        let refused = Finish { reason: FinishReason::ContentFilter, raw: Some("refusal".into()) };
        assert_eq!(encode(&refused), "SAFETY");
        assert_eq!(encode(&FinishReason::Pause.into()), "OTHER");
    }
}
