//! Bad input to a real model: the process never aborts, and the next request is answered.

use crate::{
    ask::{CHAT, native, openai, with},
    real_model::{MODEL, load, serve},
};
use serde_json::{Value, json};
use tollgate_types::wire::path;

/// A schema that is nested so many levels deep, as text: `json!` itself cannot hold it.
fn deep_schema(depth: usize) -> String {
    let (open, close) = (r#"{"type":"array","items":"#.repeat(depth), "}".repeat(depth));
    format!(r#"{open}{{"type":"null"}}{close}"#)
}

fn with_schema(schema: &str) -> Vec<u8> {
    let parameters =
        format!(r#"{{"type":"object","properties":{{"x":{schema}}},"required":["x"]}}"#);
    let tool =
        format!(r#"{{"type":"function","function":{{"name":"f","parameters":{parameters}}}}}"#);
    format!(
        r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"hi"}}],"max_tokens":4,
            "tools":[{tool}],"tool_choice":"required"}}"#
    )
    .into_bytes()
}

fn said(content: &Value) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

#[tokio::test]
async fn bad_input_to_a_real_model_is_refused_and_the_process_lives_on() {
    let model = load();
    let (server, key) = serve(&model).await;
    let picture = json!([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]);
    let sampled = |fields: Value| with(native(MODEL), json!({"sampling": fields}));
    let cases = [
        (path::GENERATE, sampled(json!({"temperature": 99.0})), 400),
        (path::GENERATE, sampled(json!({"temperature": -1.0})), 400),
        (path::GENERATE, sampled(json!({"top_p": 7.0})), 400),
        (path::GENERATE, sampled(json!({"max_output_tokens": 0})), 400),
        (path::GENERATE, with(native(MODEL), json!({"tool_choice": "required"})), 400),
        (
            path::GENERATE,
            with(
                native(MODEL),
                json!({"output": {"type": "grammar", "syntax": "gbnf", "grammar": "root ::= root"}}),
            ),
            422,
        ),
        (path::EMBED, json!({"model": MODEL, "input": ["x"]}), 422),
        (path::COUNT_TOKENS, with(native(MODEL), json!({"messages": []})), 400),
        (CHAT, with(openai(MODEL), json!({"temperature": 99})), 400),
        (CHAT, with(openai(MODEL), said(&picture)), 422),
        (CHAT, with(openai(MODEL), said(&json!("word ".repeat(20_000)))), 400),
    ];
    for (path, body, status) in cases {
        let reply = server.post(path, &key, &body).await;
        let shown: String = body.to_string().chars().take(200).collect();
        reply.assert_error(status, &shown);
    }
    for depth in [60, 100, 200, 20_000] {
        let reply = server.post_bytes(CHAT, &key, with_schema(&deep_schema(depth))).await;
        assert!(
            matches!(reply.status, 200 | 400 | 422),
            "{depth}: {} {}",
            reply.status,
            reply.text
        );
    }
    let huge = sampled(json!({"max_output_tokens": u32::MAX, "stop": ["\n", " ", "a", "e"]}));
    let odd = said(&json!("\u{0}<|im_end|>\u{fffd}\u{1f980}\u{202e}"));
    for body in
        [huge, with(with(native(MODEL), odd), json!({"sampling": {"max_output_tokens": 2}}))]
    {
        let body = native_content(body);
        let reply = server.post(path::GENERATE, &key, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let held: i64 = server.budgets().await.iter().map(|budget| budget.held).sum();
    assert_eq!(held, 0);
}

/// Plain text as the native API wants it: a list of parts.
fn native_content(mut body: Value) -> Value {
    let content = &mut body["messages"][0]["content"];
    if let Some(text) = content.as_str() {
        *content = json!([{"type": "text", "text": text}]);
    }
    body
}
