//! Why the model stopped, in Anthropic's words.

use tollgate_types::{Finish, FinishReason};

/// Reads a stop reason. Some gateways say `end_turn` although calls wait, so the calls decide.
pub(super) fn decode(raw: Option<&str>, wants_tools: bool) -> Finish {
    let reason = match raw.map_or(FinishReason::Other, reason_of) {
        FinishReason::Stop if wants_tools => FinishReason::ToolCalls,
        reason => reason,
    };
    Finish { reason, raw: raw.map(str::to_owned) }
}

fn reason_of(word: &str) -> FinishReason {
    match word {
        "end_turn" | "stop_sequence" => FinishReason::Stop,
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        "pause_turn" | "compaction" => FinishReason::Pause,
        _ => FinishReason::Other,
    }
}

/// The word that Anthropic's clients know: the provider's own where it is one of them.
pub(super) fn encode(finish: &Finish, refused: bool) -> &str {
    if let Some(raw) = finish.raw.as_deref()
        && finish.reason != FinishReason::Other
        && reason_of(raw) == finish.reason
    {
        return raw;
    }
    match finish.reason {
        FinishReason::Length | FinishReason::BudgetExhausted => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
        FinishReason::Pause => "pause_turn",
        FinishReason::Stop if refused => "refusal",
        _ => "end_turn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_and_written_again() {
        for word in [
            "end_turn",
            "stop_sequence",
            "max_tokens",
            "model_context_window_exceeded",
            "tool_use",
            "refusal",
            "pause_turn",
            "compaction",
        ] {
            assert_eq!(encode(&decode(Some(word), false), false), word);
        }
    }

    #[test]
    fn calls_decide_and_foreign_words_are_translated() {
        assert_eq!(decode(Some("end_turn"), true).reason, FinishReason::ToolCalls);
        let foreign = |raw: &str, reason| Finish { reason, raw: Some(raw.to_owned()) };
        assert_eq!(encode(&foreign("stop", FinishReason::Stop), false), "end_turn");
        assert_eq!(encode(&foreign("stop", FinishReason::Stop), true), "refusal");
        assert_eq!(encode(&foreign("length", FinishReason::Length), false), "max_tokens");
        assert_eq!(encode(&foreign("brand_new", FinishReason::Other), false), "end_turn");
    }
}
