//! Errors of upstreams: before an answer begins, and inside of one.

use crate::{
    ask::{Ask, post, received},
    books::{Findings, id_of},
    gate::Gate,
    read::{problem, read},
    way::{WAYS, Way, pairs, routes},
};
use reqwest::Method;

/// How an upstream fails, and what the client shall hear: the status, and the words of the dialects
/// of OpenAI, Anthropic, Google and Tollgate.
const FAILURES: [(&str, u16, [&str; 4]); 6] = [
    (
        "status=429,retry_after=7",
        429,
        ["rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "rate_limited"],
    ),
    (
        "status=401",
        502,
        ["invalid_api_key", "authentication_error", "UNAUTHENTICATED", "authentication"],
    ),
    ("status=500", 502, ["", "api_error", "INTERNAL", "upstream"]),
    ("status=503", 503, ["", "overloaded_error", "UNAVAILABLE", "overloaded"]),
    (
        "status=400,code=context_length_exceeded,message=prompt_is_too_long",
        400,
        ["context_length_exceeded", "invalid_request_error", "INVALID_ARGUMENT", "context_length"],
    ),
    ("status=404", 404, ["model_not_found", "not_found_error", "NOT_FOUND", "not_found"]),
];

#[tokio::test]
async fn a_failure_has_the_status_and_the_words_that_the_client_knows() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (script, status, words) in FAILURES {
        for (way, upstream, streamed) in routes() {
            let case = format!("{way:?} {upstream} {script} streamed={streamed}");
            let reply = Ask::of(upstream, script, streamed).reply(&gate, way).await;
            found.equal(&case, reply.status.as_u16(), status);
            let (word, message) = problem(way, &reply);
            found.holds(&case, !message.is_empty(), &reply.body);
            let [openai, anthropic, google, native] = words;
            let wanted = match way {
                Way::Chat | Way::Responses => openai,
                Way::Anthropic => anthropic,
                Way::Google => google,
                Way::OllamaChat | Way::OllamaGenerate => "",
                Way::Native => native,
            };
            if !wanted.is_empty() {
                found.equal(&case, word.as_str(), wanted);
            }
            let wait = reply.headers.get("retry-after").map(|wait| wait.to_str().unwrap());
            if script.contains("retry_after") {
                found.equal(&case, wait, Some("7"));
            }
            let row = gate.row(&id_of(&reply)).await;
            let told = (row.disposition.as_str(), row.error.as_deref(), row.usage.total());
            found.equal(&case, told, ("failed", Some(native), 0));
        }
    }
    found.settle();
}

#[tokio::test]
async fn a_stream_that_breaks_never_looks_whole() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for fault in ["error=6", "error=6,status=429", "cut=6", "reset=6", "malformed=6"] {
        for (way, upstream) in pairs() {
            let case = format!("{way:?} {upstream} {fault}");
            let script = format!("tokens=9,{fault}");
            let reply = Ask::of(upstream, &script, true).reply(&gate, way).await;
            found.equal(&case, reply.status.as_u16(), 200);
            let said = read(way, &reply, true);
            let told = format!("{said:?}");
            found.holds(&case, !said.ended && said.finish.is_empty(), &told);
            found.holds(&case, said.error.is_some_and(|error| !error.is_empty()), &told);
            let begun =
                said.text.starts_with("w0 ") && "w0 w1 w2 w3 w4 w5 w6 ".contains(&said.text);
            found.holds(&case, begun, &told);
            let row = gate.row(&id_of(&reply)).await;
            found.equal(&case, row.disposition.as_str(), "interrupted");
            let used = (1..9).contains(&row.usage.total_output()) && row.usage.estimated;
            found.holds(&case, used && row.error.is_some(), &format!("{row:?}"));
        }
    }
    found.settle();
}

#[tokio::test]
async fn a_whole_answer_whose_stream_breaks_behind_the_server_is_an_error() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for (fault, status) in [("error=6,status=429", 429), ("cut=6", 502), ("reset=6", 502)] {
        // Within one dialect the upstream is asked for a whole answer, and gives one.
        for (way, upstream) in pairs().filter(|(way, upstream)| way.own() != Some(*upstream)) {
            let case = format!("{way:?} {upstream} {fault}");
            let script = format!("tokens=9,{fault}");
            let reply = Ask::of(upstream, &script, false).reply(&gate, way).await;
            // Within a stream, Ollama tells an error in words alone.
            let status = if upstream == "ollama" { 502 } else { status };
            found.equal(&case, reply.status.as_u16(), status);
            let (_, message) = problem(way, &reply);
            found.holds(&case, !message.is_empty(), &reply.body);
            let row = gate.row(&id_of(&reply)).await;
            let used = (1..9).contains(&row.usage.total_output());
            found.holds(&case, used && row.disposition == "interrupted", &format!("{row:?}"));
        }
    }
    found.settle();
}

#[tokio::test]
async fn a_stranger_and_a_bad_request_are_refused_in_the_words_of_the_dialect() {
    let gate = Gate::start().await;
    let mut found = Findings::default();
    for way in WAYS {
        let ask = Ask::of("openai", "echo", false);
        let path = way.path(&ask.model, false);
        let nowhere = way.path("openai/nobody", false).replace("openai/", "nowhere/");
        let model = Ask { model: "nowhere/nobody".to_owned(), ..ask.clone() };
        let cases = [
            (gate.stranger(Method::POST, &path).await, 401, "authentication"),
            (received(post(&gate, way, &path, "{".to_owned())).await, 400, "invalid_request"),
            (
                received(post(&gate, way, &nowhere, model.body(way).to_string())).await,
                404,
                "not_found",
            ),
        ];
        for (reply, status, native) in cases {
            let case = format!("{way:?} {status}");
            found.equal(&case, reply.status.as_u16(), status);
            let (word, message) = problem(way, &reply);
            found.holds(&case, !message.is_empty(), &reply.body);
            if way == Way::Native {
                found.equal(&case, word.as_str(), native);
            }
        }
    }
    found.equal("requests that reached the upstream", gate.mock.served(), 0);
    found.settle();
}
