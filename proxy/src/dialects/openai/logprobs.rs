//! Log-probabilities of tokens: `choices[].logprobs.content`.

use serde_json::{Value, json};
use tollgate_types::{TokenLogprob, TopLogprob};

/// Reads a list of tokens; entries without a number are left out.
pub(in crate::dialects) fn decode(list: Option<&Value>) -> Vec<TokenLogprob> {
    let tokens = list.and_then(Value::as_array).into_iter().flatten();
    tokens
        .filter_map(|token| {
            let top = token.get("top_logprobs").and_then(Value::as_array).into_iter().flatten();
            let TopLogprob { token: text, logprob, bytes } = alternative(token)?;
            Some(TokenLogprob {
                token: text,
                logprob,
                bytes,
                top: top.filter_map(alternative).collect(),
            })
        })
        .collect()
}

fn alternative(token: &Value) -> Option<TopLogprob> {
    let byte = |value: &Value| value.as_u64().and_then(|n| u8::try_from(n).ok());
    Some(TopLogprob {
        token: token.get("token")?.as_str()?.to_owned(),
        logprob: token.get("logprob")?.as_f64()?,
        bytes: token
            .get("bytes")
            .and_then(Value::as_array)
            .and_then(|bytes| bytes.iter().map(byte).collect()),
    })
}

/// Writes a list of tokens; `null` when there are none, as OpenAI does when nobody asked.
pub(in crate::dialects) fn encode(tokens: &[TokenLogprob]) -> Value {
    if tokens.is_empty() {
        return Value::Null;
    }
    json!({"content": encode_tokens(tokens), "refusal": null})
}

/// Writes the tokens alone.
pub(super) fn encode_tokens(tokens: &[TokenLogprob]) -> Vec<Value> {
    tokens
        .iter()
        .map(|token| {
            let top: Vec<Value> = token
                .top
                .iter()
                .map(|top| json!({"token": top.token, "logprob": top.logprob, "bytes": top.bytes}))
                .collect();
            json!({"token": token.token, "logprob": token.logprob, "bytes": token.bytes, "top_logprobs": top})
        })
        .collect()
}
