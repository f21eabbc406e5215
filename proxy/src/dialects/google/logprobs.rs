//! Log-probabilities of tokens: `candidates[].logprobsResult`.

use serde_json::{Value, json};
use tollgate_types::{TokenLogprob, TopLogprob};

/// Reads the chosen tokens with their alternatives; entries without a number are left out.
pub(super) fn decode(result: &Value) -> Vec<TokenLogprob> {
    let list = |key: &str| result.get(key).and_then(Value::as_array);
    let tops = list("topCandidates");
    let chosen = list("chosenCandidates").into_iter().flatten().enumerate();
    chosen
        .filter_map(|(at, token)| {
            let TopLogprob { token, logprob, bytes } = alternative(token)?;
            let top = tops.and_then(|tops| tops.get(at)?.get("candidates")?.as_array());
            let top = top.into_iter().flatten().filter_map(alternative).collect();
            Some(TokenLogprob { token, logprob, bytes, top })
        })
        .collect()
}

fn alternative(token: &Value) -> Option<TopLogprob> {
    Some(TopLogprob {
        token: token.get("token")?.as_str()?.to_owned(),
        logprob: token.get("logProbability")?.as_f64()?,
        bytes: None,
    })
}

/// Writes tokens.
pub(super) fn encode(tokens: &[TokenLogprob]) -> Option<Value> {
    if tokens.is_empty() {
        return None;
    }
    let entry = |token: &str, logprob: f64| json!({"token": token, "logProbability": logprob});
    let chosen: Vec<Value> = tokens.iter().map(|t| entry(&t.token, t.logprob)).collect();
    let top = tokens.iter().map(|token| {
        let candidates: Vec<Value> = token.top.iter().map(|t| entry(&t.token, t.logprob)).collect();
        json!({"candidates": candidates})
    });
    Some(json!({"topCandidates": top.collect::<Vec<_>>(), "chosenCandidates": chosen}))
}
