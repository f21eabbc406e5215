//! Answers that come to a good end: what they say, why they end, what they cost.

use crate::{
    ask::Ask,
    books::{Findings, id_of},
    gate::Gate,
    read::{Counts, Said, read},
    way::{Way, routes},
};
use tollgate_types::FinishReason;

/// Asks, and checks what is the same for every good answer: the end, and that the answer and the
/// books tell the same usage.
async fn answered(gate: &Gate, way: Way, ask: &Ask, found: &mut Findings) -> Option<Said> {
    let case = format!("{way:?} {} streamed={}", ask.model, ask.streamed);
    let reply = ask.reply(gate, way).await;
    if reply.status != 200 {
        found.equal(&case, reply.body, "an answer".to_owned());
        return None;
    }
    let said = read(way, &reply, ask.streamed);
    found.holds(&case, said.ended && said.error.is_none(), &format!("{said:?}"));
    let row = gate.row(&id_of(&reply)).await;
    found.equal(&case, (row.disposition.as_str(), row.streamed), ("settled", ask.streamed));
    let cached = if way.tells_cached() { row.usage.cache_read } else { 0 };
    let (input, output) = (row.usage.total_input(), row.usage.total_output());
    found.equal(&case, said.usage, Some(Counts { input, cached, output }));
    found.equal(&case, row.usage.estimated, false);
    Some(said)
}

#[tokio::test]
async fn text_thoughts_and_usage_arrive_whoever_answers() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (way, upstream, streamed) in routes() {
        let ask = Ask::of(upstream, "tokens=3,think=2,cached=7,cache_write=5", streamed);
        let case = format!("{way:?} {upstream} streamed={streamed}");
        let Some(said) = answered(&gate, way, &ask, &mut found).await else { continue };
        found.equal(&case, said.text.trim(), "w0 w1 w2");
        found.equal(&case, said.reasoning.trim(), "t0 t1");
        found.equal(&case, said.finish.as_str(), way.word(FinishReason::Stop));
        // One word was asked; Ollama's upstream does not tell what its cache did.
        let cached = if upstream != "ollama" && way.tells_cached() { 7 } else { 0 };
        found.equal(&case, said.usage, Some(Counts { input: 13, cached, output: 5 }));
    }
    found.settle();
}

#[tokio::test]
async fn an_answer_that_is_too_long_says_so() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (way, upstream, streamed) in routes() {
        let ask = Ask::of(upstream, "tokens=3,length", streamed);
        let case = format!("{way:?} {upstream} streamed={streamed}");
        let Some(said) = answered(&gate, way, &ask, &mut found).await else { continue };
        found.equal(&case, said.text.trim(), "w0 w1 w2");
        found.equal(&case, said.finish.as_str(), way.word(FinishReason::Length));
    }
    found.settle();
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_that_the_client_has_for_it() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (way, upstream, streamed) in routes() {
        let ask = Ask::of(upstream, "tokens=3,refusal", streamed);
        let case = format!("{way:?} {upstream} streamed={streamed}");
        let Some(said) = answered(&gate, way, &ask, &mut found).await else { continue };
        // OpenAI marks the words, Anthropic the end, the others nothing.
        let marked = matches!(upstream, "openai" | "responses");
        let words = (said.text.trim(), said.refusal.trim());
        if marked && matches!(way, Way::Chat | Way::Responses | Way::Native) {
            found.equal(&case, words, ("", "w0 w1 w2"));
        } else {
            found.equal(&case, words, ("w0 w1 w2", ""));
        }
        let refused = upstream == "anthropic" || marked && way == Way::Anthropic;
        let reason = if refused { FinishReason::ContentFilter } else { FinishReason::Stop };
        found.equal(&case, said.finish.as_str(), way.word(reason));
    }
    found.settle();
}

#[tokio::test]
async fn an_answer_that_a_filter_stopped_says_so() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (way, upstream, streamed) in routes().filter(|(_, upstream, _)| *upstream != "ollama") {
        // Only Google tells of a prompt that it did not take.
        let scripts = ["tokens=3,safety", "blocked"];
        for script in &scripts[..1 + usize::from(upstream == "google")] {
            let ask = Ask::of(upstream, script, streamed);
            let case = format!("{way:?} {upstream} {script} streamed={streamed}");
            let Some(said) = answered(&gate, way, &ask, &mut found).await else { continue };
            found.equal(&case, said.finish.as_str(), way.word(FinishReason::ContentFilter));
        }
    }
    found.settle();
}

#[tokio::test]
async fn thoughts_that_are_hidden_are_still_counted() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (way, upstream, streamed) in routes() {
        let ask = Ask::of(upstream, "tokens=3,think=2,hidden", streamed);
        let case = format!("{way:?} {upstream} streamed={streamed}");
        let Some(said) = answered(&gate, way, &ask, &mut found).await else { continue };
        found.equal(&case, (said.text.trim(), said.reasoning.as_str()), ("w0 w1 w2", ""));
        found.equal(&case, said.usage.map(|usage| usage.output), Some(5));
    }
    found.settle();
}

#[tokio::test]
async fn a_stream_without_its_last_sign_is_whole_if_the_vendor_has_said_why_it_stops() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (way, upstream, _) in routes().filter(|(.., streamed)| *streamed) {
        let ask = Ask::of(upstream, "tokens=3,nodone", true);
        let case = format!("{way:?} {upstream}");
        let said = read(way, &ask.reply(&gate, way).await, true);
        // In these two, the last event is where the reason stands.
        let whole = !matches!(upstream, "responses" | "ollama");
        // Also who speaks the upstream's own dialect, and gets what came, gets the sign it lacks.
        found.equal(&case, (said.ended, said.error.is_none()), (whole, whole));
        let reason = if whole { way.word(FinishReason::Stop) } else { "" };
        found.equal(&case, said.finish.as_str(), reason);
        found.equal(&case, said.text.trim(), "w0 w1 w2");
    }
    found.settle();
}
