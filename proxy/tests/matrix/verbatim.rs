//! The same dialect in front and behind: what is sent and what comes back is passed on as it is.

use crate::{
    ask::{post, received},
    books::{Findings, metered},
    gate::{Gate, Reply},
    way::{WAYS, Way},
};
use serde_json::{Value, json};

/// A body as no serializer writes it, with fields that nobody knows; `MODEL` and `STREAM` are filled
/// in.
fn own_body(way: Way) -> &'static str {
    match way {
        Way::Chat => {
            r#"{ "brand_new" : 1.50, "messages":[{"role":"user","content":"a\u0062 c","x-new":[ ]}],
               "stream" :STREAM, "stream_options":{"include_usage":true}, "model" : "MODEL" ,"z":1e2 }"#
        }
        Way::Responses => {
            r#"{ "brand_new" : 1.50, "input":[{"role":"user","content":"a\u0062 c","x-new":[ ]}],
               "stream" :STREAM, "model" : "MODEL" ,"z":1e2 }"#
        }
        Way::Anthropic => {
            r#"{ "system": [{"type":"text","text":"s\u0065t","cache_control" : {"type":"ephemeral"}}],
               "messages":[{"role":"user","content":[{"type":"text", "text":"a\u0062 c",
               "cache_control":{"type":"ephemeral","brand_new":1.50}}]}], "stream":STREAM ,
               "max_tokens":9000,"model" : "MODEL" ,"z":1e2 }"#
        }
        Way::Google => {
            r#"{ "brandNew" : 1.50, "contents":[{"role":"user","parts":[{"text":"a\u0062 c", "x":[ ]}]}] }"#
        }
        Way::OllamaChat => {
            r#"{ "brand_new" : 1.50, "messages":[{"role":"user","content":"a\u0062 c","x":[ ]}],
               "stream" :STREAM, "model" : "MODEL" ,"z":1e2 }"#
        }
        Way::OllamaGenerate => {
            r#"{ "brand_new" : 1.50, "prompt":"a\u0062 c", "stream" :STREAM, "model" : "MODEL" ,"z":1e2 }"#
        }
        Way::Native => unreachable!("no upstream speaks it"),
    }
}

/// The ways in whose dialect an upstream speaks, with that upstream.
fn own_ways() -> impl Iterator<Item = (Way, &'static str)> {
    WAYS.into_iter().filter_map(|way| Some((way, way.own()?)))
}

/// The payloads of an answer without what frames them.
fn payloads(reply: &Reply) -> Vec<&str> {
    reply.body.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
}

#[tokio::test]
async fn bodies_and_answers_are_passed_on_byte_for_byte_with_all_that_nobody_knows() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (way, upstream) in own_ways() {
        for streamed in [false, true] {
            let case = format!("{way:?} streamed={streamed}");
            let model = "mock-tokens=3,think=2,news";
            let body = own_body(way).replace("STREAM", &streamed.to_string());
            let own = body.replace("MODEL", model);
            let url = format!("{}{}", gate.mock.url(), way.path(model, streamed));
            let direct = received(gate.client.post(url).body(own.clone())).await;
            found.holds(&case, direct.body.contains(r#"{"a": 1.50}"#), &direct.body);
            let named = format!("{upstream}/{model}");
            let request =
                post(&gate, way, &way.path(&named, streamed), body.replace("MODEL", &named));
            let through = received(request).await;
            found.equal(&case, through.status.as_u16(), 200);
            found.equal(&case, payloads(&through), payloads(&direct));
            let sent = gate.mock.requests().pop().unwrap();
            found.equal(&case, std::str::from_utf8(&sent.raw).unwrap(), own.as_str());
        }
    }
    found.settle();
}

#[tokio::test]
async fn a_budget_changes_the_limit_and_not_a_byte_beside_it() {
    let mut found = Findings::default();
    for (way, upstream) in own_ways() {
        // A part that holds something unknown may be an image, and room is held for one.
        let gate = metered(if way == Way::Anthropic { 4_000 } else { 60_000 }).await;
        let limited = match way {
            Way::Chat => r#""max_tokens": 90000"#,
            Way::Responses => r#""max_output_tokens": 90000"#,
            Way::Anthropic => r#""max_tokens":9000"#,
            Way::Google => r#""generationConfig" : { "maxOutputTokens": 90000}"#,
            _ => r#""options" : { "num_predict": 90000}"#,
        };
        let mut body = own_body(way).replace("STREAM", "true");
        if way != Way::Anthropic {
            body = body.trim_end_matches('}').to_owned() + "," + limited + "}";
        }
        let named = format!("{upstream}/mock-echo");
        let reply =
            received(post(&gate, way, &way.path(&named, true), body.replace("MODEL", &named)))
                .await;
        let case = format!("{way:?} {}", reply.body);
        let sent = gate.mock.requests().pop().expect(&case);
        let sent = String::from_utf8(sent.raw.to_vec()).unwrap();
        let allowed = reply.headers["x-tollgate-max-output"].to_str().unwrap();
        let lowered = limited.replace(limited.trim_matches(|c: char| !c.is_ascii_digit()), allowed);
        let wanted = body.replace("MODEL", "mock-echo").replace(limited, &lowered);
        found.equal(&case, sent, wanted);
    }
    found.settle();
}

#[tokio::test]
async fn usage_is_asked_for_upstream_and_hidden_from_a_client_that_did_not_ask() {
    let gate = Gate::start().await;
    let chunks = |reply: &Reply| -> Vec<Value> {
        let lines = reply.body.lines().filter_map(|line| line.strip_prefix("data: "));
        let json = lines.filter(|data| *data != "[DONE]");
        json.map(|data| serde_json::from_str(data).unwrap()).collect()
    };
    for upstream in ["openai", "anthropic"] {
        let mut body = json!({"model": format!("{upstream}/mock-tokens=3"), "stream": true,
            "messages": [{"role": "user", "content": "go"}]});
        let silent = chunks(&gate.post("/v1/chat/completions", &body).await);
        assert!(silent.iter().all(|chunk| chunk["usage"].is_null()), "{silent:?}");
        assert!(silent.iter().all(|chunk| chunk["choices"][0].is_object()), "{silent:?}");
        if upstream == "openai" {
            let sent = gate.mock.requests().pop().unwrap();
            assert_eq!(sent.body["stream_options"], json!({"include_usage": true}));
        }
        let report = gate.report().await;
        assert_eq!((report.rows[0].usage.output, report.rows[0].usage.estimated), (3, false));
        body["stream_options"] = json!({"include_usage": true});
        let told = chunks(&gate.post("/v1/chat/completions", &body).await);
        let (last, before) = told.split_last().unwrap();
        assert_eq!(last["choices"], json!([]), "{told:?}");
        assert_eq!(last["usage"]["completion_tokens"], 3, "{told:?}");
        assert!(before.iter().all(|chunk| chunk["usage"].is_null()), "{told:?}");
    }
}
